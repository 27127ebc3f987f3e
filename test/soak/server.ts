/**
 * The server of the soak: a supervisor in a process of its own, forked with --expose-gc, that measures itself and
 * answers questions over the channel to its parent. Arguments: folder of the workers, folder of the data,
 * configuration file.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startSupervisor } from 'offstage/supervisor'
import { takeDelays } from './loop.js'
import type { Answers, Question } from './soak.js'

const COLLECTIONS = 5

const [workers, data, config] = process.argv.slice(2)
const supervisor = await startSupervisor({
  workers: workers!,
  data: data!,
  config: config!,
  port: 0,
  log_level: 'silent',
})
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
    case 'delays':
      return takeDelays()
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
