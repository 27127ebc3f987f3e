/** A peer's worker, in a process of its own as ours is: told by message what to drain, it answers what it ran. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DrainCounter, type Drained, drainRate } from '../drain_counter.js'

interface Order {
  readonly jobs: number
  readonly concurrency: number
}

type Answer = { readonly drained: Drained } | { readonly failed: string }

export class DrainProcess {
  readonly #child: ChildProcess

  /** Starts `peers/workers/<script>` with these arguments. */
  constructor(script: string, args: readonly string[]) {
    this.#child = fork(fileURLToPath(new URL(`workers/${script}`, import.meta.url)), args)
  }

  async drain(order: Order): Promise<number> {
    this.#child.send(order)
    const [answer] = (await Promise.race([once(this.#child, 'message'), this.#ended()])) as [Answer]
    if ('failed' in answer) throw new Error(answer.failed)
    return drainRate(answer.drained, order.jobs)
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
  drain: (concurrency: number, run: (argument: string) => void, finished: Promise<void>) => Promise<void>,
): void {
  process.on('message', async ({ jobs, concurrency }: Order) => {
    const counter = new DrainCounter()
    let finish = () => {}
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    const run = (argument: string) => {
      if (counter.count(argument) === jobs) finish()
    }
    try {
      await drain(concurrency, run, finished)
      answer({ drained: counter.drained() })
    } catch (error) {
      answer({ failed: error instanceof Error ? String(error.stack) : String(error) })
    }
  })
  process.once('disconnect', () => process.exit())
}

function answer(message: Answer): void {
  process.send!(message)
}
