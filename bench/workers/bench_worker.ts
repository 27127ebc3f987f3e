import { MetaWorker } from 'offstage'

/** What the rows for calls and for enqueues talk to. */
export default class BenchWorker extends MetaWorker {
  echo(argument: string): string {
    return argument
  }

  noop(_argument: string): void {}
}
