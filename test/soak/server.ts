/**
 * The server of the soak: a supervisor in a process of its own, forked with --expose-gc, that measures itself and
 * answers questions over the channel to its parent. Arguments: folder of the workers, folder of the data,
 * configuration file.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { startSupervisor } from 'offstage/supervisor'
import type { Answers, Question } from './soak.js'

/** ms between two looks at the clock; what is above it is the delay. */
const STEP = 1
const COLLECTIONS = 5

const [workers, data, config] = process.argv.slice(2)
const supervisor = await startSupervisor({
  workers: workers!,
  data: data!,
  config: config!,
  port: 0,
  log_level: 'silent',
})
const delays = monitorEventLoopDelay({ resolution: STEP })
delays.enable()
let crashes = 0
supervisor.events.subscribe(({ type }) => {
  if (type === 'crashed') crashes++
})
process.on('message', async (question: Question) => {
  process.send!(await answer(question))
})
process.once('disconnect', () => process.exit())
process.send!(supervisor.address)

async function answer(question: Question): Promise<Answers[Question]> {
  switch (question) {
    case 'delays': {
      const measured = { p99: toMs(delays.percentile(99)), max: toMs(delays.max) }
      delays.reset()
      return measured
    }
    case 'crashes':
      return crashes
    case 'memory':
      for (let round = 0; round < COLLECTIONS; round++) {
        globalThis.gc!()
        await sleep(100)
      }
      return process.memoryUsage.rss()
    case 'stop':
      await supervisor.stop()
      return true
  }
}

function toMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - STEP)
}
