import { MetaWorker } from 'offstage'

export default class HelloWorker extends MetaWorker {
  static override workerName = 'hello_worker'

  async some_task(greeting: string): Promise<void> {
    if (this.jobKey !== undefined) this.cache.set(this.jobKey, `${greeting}, ${this.jobKey}`)
  }
}
