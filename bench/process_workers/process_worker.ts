import { MetaWorker } from 'offstage'

/** For the rows of calls through a process. */
export default class ProcessWorker extends MetaWorker {
  static override host = 'process'

  echo(argument: string): string {
    return argument
  }
}
