/** Histories for tests, a line per event. Time passes by a millisecond per event unless told otherwise. */
import type { JobInfo } from '#offstage/persistence/store.js'
import type { Answer, Call, HistoryEvent, IssuedJob, WantedJob } from './events.js'

export const QUEUE = { worker: 'mailer', workerKey: '' }

export class Sketch {
  readonly history: HistoryEvent[] = []
  at = 1000
  #calls = 0
  #runs = 0

  /** A job as it is asked for; its token is its key unless told otherwise. */
  wanted(jobKey: string, more: Partial<WantedJob> = {}): WantedJob {
    const job = { ...QUEUE, jobKey, method: 'send', runAt: 0, priority: 0, maxAttempts: 3, atMostOnce: false }
    return { ...job, token: jobKey, ...more }
  }

  issued(id: number, attempt: number, wanted: WantedJob, more: Partial<IssuedJob> = {}): IssuedJob {
    return { ...wanted, id, attempt, suspect: false, ...more }
  }

  /** Returns the number of the call. */
  invoke(what: Call): number {
    this.#add({ type: 'invoke', at: this.at, call: ++this.#calls, what })
    return this.#calls
  }

  ok(call: number, answer: Answer): this {
    return this.#add({ type: 'ok', at: this.at, call, answer })
  }

  info(call: number): this {
    return this.#add({ type: 'info', at: this.at, call, why: 'no answer' })
  }

  fails(call: number): this {
    return this.#add({ type: 'fail', at: this.at, call, why: 'refused' })
  }

  enqueue(id: number, job: WantedJob, created = true): this {
    return this.ok(this.invoke({ op: 'enqueue', jobs: [job] }), { op: 'enqueue', jobs: [{ id, created }] })
  }

  claim(...jobs: IssuedJob[]): this {
    return this.ok(this.invoke({ op: 'claim', queue: QUEUE, limit: 10, lastAttempts: 10 }), { op: 'claim', jobs })
  }

  finish(id: number, attempt: number, current = true): this {
    const call = this.invoke({ op: 'finish', attempts: [{ id, attempt }] })
    return this.ok(call, { op: 'finish', current: [current] })
  }

  release(id: number, attempt: number, counted: boolean, runAt: number): this {
    const call = this.invoke({ op: 'release', attempt: { id, attempt }, counted, runAt })
    return this.ok(call, { op: 'release', current: true })
  }

  fail(id: number, attempt: number, runAt: number | 'dead'): this {
    const call = this.invoke({ op: 'fail', attempt: { id, attempt }, crashed: false })
    return this.ok(call, { op: 'fail', outcome: runAt === 'dead' ? { state: 'dead' } : { state: 'retry', runAt } })
  }

  dequeue(jobKey: string): this {
    return this.ok(this.invoke({ op: 'dequeue', queue: QUEUE, jobKey }), { op: 'dequeue', removed: true })
  }

  /** Returns the run. */
  start(id: number, attempt: number, token: string): string {
    const run = `run-${++this.#runs}`
    this.#add({ type: 'start', at: this.at, run, id, attempt, token })
    return run
  }

  end(run: string): this {
    return this.#add({ type: 'end', at: this.at, run })
  }

  run(id: number, attempt: number, token: string): this {
    return this.end(this.start(id, attempt, token))
  }

  crash(power = false): this {
    return this.#add({ type: 'crash', at: this.at, power })
  }

  open(): this {
    return this.#add({ type: 'open', at: this.at })
  }

  healed(): this {
    return this.#add({ type: 'healed', at: this.at })
  }

  state(...jobs: JobInfo[]): this {
    return this.#add({ type: 'state', at: this.at, jobs })
  }

  seen(id: number, wanted: WantedJob, more: Partial<JobInfo> = {}): JobInfo {
    const { token: _, atMostOnce: __, ...facts } = wanted
    return { ...facts, id, state: 'ready', enqueuedAt: 0, attempts: 0, ...more }
  }

  #add(event: HistoryEvent): this {
    this.history.push(event)
    this.at++
    return this
  }
}
