import { MetaWorker } from 'offstage'
import { type Argument, fail, finish, run } from './_runs.js'

/** Runs many jobs at a time. */
export default class CrowdWorker extends MetaWorker {
  static override workerName = 'crowd_worker'
  static override concurrency = 16

  run(argument: Argument) {
    return run(this, argument)
  }

  failing(argument: Argument) {
    return fail(this, argument)
  }

  finishing(argument: Argument) {
    return finish(this, argument)
  }
}
