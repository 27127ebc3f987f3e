import { MetaWorker } from 'offstage'

/** For the rows of calls through a thread. */
export default class ThreadWorker extends MetaWorker {
  static override host = 'thread'

  echo(argument: string): string {
    return argument
  }
}
