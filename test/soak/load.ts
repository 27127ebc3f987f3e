/** The client of the soak: calls, jobs and deaths at a steady rate, whatever the answers. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { MiddleMan } from 'offstage/middleman'
import type SoakWorker from './workers/soak_worker.js'
import { DEATHS, type Job } from './workers/soak_worker.js'

/** ms until a call is given up by its caller; a worker may back off for 10 s. */
const TIMEOUT = 5_000
/** ms after which a call that has neither an answer nor an error is called open. */
const PATIENCE = 60_000
/** ms between two bursts. */
const TICK = 20

/** One in so many calls is a death, each kind in its turn: so a short soak has some, too. */
const DEATH_EVERY = 80
/** Of all that is sent; the rest are calls that go well. */
const ENQUEUES = 0.2
/** Of the jobs: those that kill their worker at first, and those that do so always. */
const SICK = 0.03
const POISONOUS = 0.005
const ATTEMPTS = 4

export class SoakLoad {
  answered = 0
  /** By code. */
  readonly rejected = new Map<string, number>()
  /** Tokens, which are their keys, of the jobs that were acknowledged. */
  readonly jobs: string[] = []
  readonly #middleMan: MiddleMan
  readonly #workers: readonly string[]
  readonly #rate: number
  readonly #open = new Set<Promise<void>>()
  #sent = 0

  constructor(middleMan: MiddleMan, workers: readonly string[], rate: number) {
    this.#middleMan = middleMan
    this.#workers = workers
    this.#rate = rate
  }

  async run(seconds: number): Promise<void> {
    const started = performance.now()
    const before = this.#sent
    for (let passed = 0; passed < seconds * 1_000; passed = performance.now() - started) {
      const due = before + (passed / 1_000) * this.#rate
      // After a pause of this process, not all at once: that would be a load of its own kind.
      for (let burst = 0; this.#sent < due && burst < this.#rate / 5; burst++) this.#send()
      await sleep(TICK)
    }
  }

  /** How many calls are without an outcome in the end. */
  async settled(): Promise<number> {
    await Promise.race([Promise.all(this.#open), sleep(PATIENCE, undefined, { ref: false })])
    return this.#open.size
  }

  #send(): void {
    const outcome = this.#count(this.#one())
    this.#open.add(outcome)
    void outcome.then(() => this.#open.delete(outcome))
    this.#sent++
  }

  async #count(outcome: Promise<unknown>): Promise<void> {
    try {
      await outcome
      this.answered++
    } catch (error) {
      const { code = String(error) } = error as { code?: string }
      this.rejected.set(code, (this.rejected.get(code) ?? 0) + 1)
    }
  }

  #one(): Promise<unknown> {
    const name = pick(this.#workers)
    const worker = this.#middleMan.worker<SoakWorker>(name)
    const chance = Math.random()
    if (this.#sent % DEATH_EVERY === DEATH_EVERY - 1) {
      const how = DEATHS[Math.floor(this.#sent / DEATH_EVERY) % DEATHS.length]!
      return worker.die({ arg: how, timeout: TIMEOUT })
    }
    if (chance < ENQUEUES) return this.#enqueue(name)
    if (chance < 0.5) return worker.pause({ arg: Math.random() * 20, timeout: TIMEOUT })
    return worker.echo({ arg: this.#sent, timeout: TIMEOUT })
  }

  async #enqueue(name: string): Promise<void> {
    const token = `job ${this.#sent}`
    const chance = Math.random()
    const deaths = chance < POISONOUS ? ATTEMPTS : chance < SICK ? 1 : 0
    const arg: Job = { token, how: pick(DEATHS), deaths }
    await this.#middleMan.worker<SoakWorker>(name).enqRun({ arg, jobKey: token, attempts: ATTEMPTS })
    this.jobs.push(token)
  }
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)]!
}
