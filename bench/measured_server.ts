/**
 * A server of ours that measures itself, which no worker could do for it: the supervisor embedded in a process of
 * its own, forked with --expose-gc, that answers questions over the channel to its parent. Arguments: folder of
 * the workers, folder of the data.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { startSupervisor } from 'offstage/supervisor'
import { LoopDelays } from './loop_delays.js'
import type { Answers, Question } from './measured_process.js'

const SETTLE_MS = 200
const QUIET_ROUNDS = 15
const SMALLER_BYTES = 1024 * 1024

const [workers, data] = process.argv.slice(2)
const supervisor = await startSupervisor({ workers: workers!, data: data!, port: 0, log_level: 'warn' })
/** From the first question for them on: to look at the clock each ms takes more of the CPU than a server at rest. */
let delays: LoopDelays | undefined

process.on('message', async (question: Question) => {
  process.send!(await answer(question))
})
process.once('disconnect', () => process.exit())
process.send!({ port: Number(supervisor.address.split(':').at(-1)) })

async function answer(question: Question): Promise<Answers[Question]> {
  switch (question) {
    case 'memory':
      return memory()
    case 'delays':
      delays ??= new LoopDelays()
      return delays.take()
    case 'cpu':
      return cpu()
    case 'stop':
      await supervisor.stop()
      return true
  }
}

function cpu(): Answers['cpu'] {
  const { user, system } = process.cpuUsage()
  return { cpu: (user + system) / 1000, wall: performance.now() }
}

/**
 * At rest: after what is garbage has gone. A collection hands buffers to threads that free them, and the heap shrinks
 * after a while only; so until the process has not become smaller for some time.
 */
async function memory(): Promise<Answers['memory']> {
  let least = Number.POSITIVE_INFINITY
  for (let quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
    globalThis.gc!()
    await sleep(SETTLE_MS)
    const { rss } = process.memoryUsage()
    if (rss > least - SMALLER_BYTES) continue
    least = rss
    quiet = 0
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, heap: heapUsed + external }
}
