/** A peer's worker, in a process of its own as ours is: told by message what to drain, it answers what it ran. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DrainCounter, type Drained, drainRate } from '../drain_counter.js'
import { LATENESS_CONCURRENCY, type Observed, type Start, startOf } from '../lateness.js'

interface Order {
  /** Are the jobs due at times of their own, so that there may be none for a while, and is it to be told when each started? */
  readonly scheduled: boolean
  readonly jobs: number
  readonly concurrency: number
}

type Answer = { readonly drained: Drained; readonly starts: readonly Start[] } | { readonly failed: string }

export class DrainProcess {
  readonly #child: ChildProcess

  /** Starts `peers/workers/<script>` with these arguments. */
  constructor(script: string, args: readonly string[]) {
    this.#child = fork(fileURLToPath(new URL(`workers/${script}`, import.meta.url)), args)
  }

  /** Jobs per second. */
  async drain(jobs: number, concurrency: number): Promise<number> {
    const { drained } = await this.#run({ jobs, concurrency, scheduled: false })
    return drainRate(drained, jobs)
  }

  /** Runs jobs for which `store` schedules in the meantime; resolves with when each started. */
  async runScheduled(due: readonly number[], store: () => Promise<readonly number[]>): Promise<Observed> {
    const order = { jobs: due.length, concurrency: LATENESS_CONCURRENCY, scheduled: true }
    const stored = store().then((due) => ({ due, storedAt: Date.now() }))
    const [{ starts }, known] = await Promise.all([this.#run(order), stored])
    return { ...known, starts }
  }

  async #run(order: Order) {
    this.#child.send(order)
    const [answer] = (await Promise.race([once(this.#child, 'message'), this.#ended()])) as [Answer]
    if ('failed' in answer) throw new Error(answer.failed)
    return answer
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill()
    await exited
  }

  async #ended(): Promise<never> {
    const [code, signal] = await once(this.#child, 'exit')
    throw new Error(`a worker process ended with ${code ?? signal}`)
  }
}

/**
 * The worker process: `drain` starts whatever runs jobs, hands each argument to `run`, and resolves when
 * `finished` has resolved and everything that was run is completed at the server.
 */
export function serveDrains(
  drain: (order: Order, run: (argument: string) => void, finished: Promise<void>) => Promise<void>,
): void {
  process.on('message', async (order: Order) => {
    const { jobs, scheduled } = order
    const starts: Start[] = []
    const counter = new DrainCounter()
    let finish = () => {}
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    const run = (argument: string) => {
      if (scheduled) starts.push(startOf(argument))
      if (counter.count(argument) === jobs) finish()
    }
    try {
      await drain(order, run, finished)
      answer({ drained: counter.drained(), starts })
    } catch (error) {
      answer({ failed: error instanceof Error ? String(error.stack) : String(error) })
    }
  })
  process.once('disconnect', () => process.exit())
}

function answer(message: Answer): void {
  process.send!(message)
}
