/** Says what a start waits for when it takes long: an import or a `create` that never ends looks like nothing. */
import type { Logger } from './log.js'

const PATIENCE = 5_000

/** The outcome of `work`; a warning with `waitingFor` every few seconds until it is there. */
export async function patiently<T>(log: Logger, waitingFor: string, work: Promise<T>): Promise<T> {
  const started = performance.now()
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1_000)
    log.warn(`still waiting for ${waitingFor}, since ${seconds} s; nothing else starts before`)
  }, PATIENCE)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
