import { MetaWorker } from 'offstage'

export default class LogWorker extends MetaWorker {
  static override workerName = 'log_worker'

  note(line: string): void {
    this.logger.info(line)
  }
}
