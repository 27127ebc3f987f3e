import { MetaWorker } from 'offstage'

export interface Bill {
  customer: string
  cents: number
}

export default class FooWorker extends MetaWorker {
  static override workerName = 'foo_worker'

  /** Called once, when the worker is loaded. */
  override async create(_data?: unknown): Promise<void> {}

  /** A long running task. Its result goes to the caller, and to the cache for those who ask later. */
  async some_task(customer: string): Promise<Bill> {
    const bill = { customer, cents: 1999 }
    if (this.jobKey !== undefined) this.cache.set(this.jobKey, bill)
    return bill
  }
}
