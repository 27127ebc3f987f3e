/** For tests of workers: deferred methods run in the same thread, on an instance of their own, as in the pool. */
import { Cancelled } from '../../errors.js'
import { BY_CALLER } from '../call.js'
import type { WorkerClass } from '../worker.js'
import { deferredRun } from './run.js'
import type { PoolRunner } from './task.js'

export function besideActor(Class: WorkerClass): PoolRunner {
  return {
    async run(task, bridge, signal) {
      // Not within `defer`: as with a thread, the method begins later.
      await new Promise((resolve) => setImmediate(resolve))
      if (signal.aborted) throw new Cancelled(`${task.method} was cancelled before it began`)
      const sent = { ...task, argument: structuredClone(task.argument) }
      const { call, run } = deferredRun(Class, sent, bridge)
      const cancel = () => call.cancel(BY_CALLER)
      signal.addEventListener('abort', cancel, { once: true })
      try {
        return structuredClone(await run())
      } finally {
        signal.removeEventListener('abort', cancel)
      }
    },
    end: () => Promise.resolve(),
  }
}
