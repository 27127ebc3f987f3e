import { MetaWorker } from 'offstage'
import { z } from 'zod'

/** No instance of it runs at first; when one does, it is a process with variables of its own. */
export default class SleepingWorker extends MetaWorker {
  static override noAutoLoad = true
  static override host = 'process'
  static override env = { LATEST: '10' }
  static override schemas = {
    wake: z.object({ at: z.number().refine((at) => at <= Number(process.env.LATEST)) }),
  }

  wake({ at }: { at: number }): number {
    return at
  }
}
