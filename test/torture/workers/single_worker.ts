import { MetaWorker } from 'offstage'
import { type Argument, fail, finish, run } from './_runs.js'

/** Runs one job after the other. */
export default class SingleWorker extends MetaWorker {
  static override workerName = 'single_worker'

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
