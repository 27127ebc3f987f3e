import { MetaWorker } from 'offstage'
import { z } from 'zod'

/** No instance of it runs. */
export default class SleepingWorker extends MetaWorker {
  static override noAutoLoad = true
  static override schemas = { wake: z.object({ at: z.number() }) }

  wake({ at }: { at: number }): number {
    return at
  }
}
