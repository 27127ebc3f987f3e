/** Clients of one life of the supervisor: many calls in flight over one connection, until they are told to stop. */
import { type BulkJob, type JobHandle, MiddleMan } from 'offstage/middleman'
import type { WantedJob } from '../history/events.js'
import type { Recorder } from './recorder.js'

const LANES = 64
const WORKERS = ['crowd_worker', 'single_worker'] as const
const IN_BULK = 20
/** Keys that are used again and again; so are their jobs, which a crash must not use up. */
const SHARED_KEYS = 50
const MANY_ATTEMPTS = 1000
/** Longest time that a job is enqueued ahead, in ms. */
export const LONGEST_DELAY = 1500

let tokens = 0

export class Load {
  readonly #recorder: Recorder
  readonly #middleMan: MiddleMan
  readonly #lanes: Promise<void>[]
  #stopped = false
  #heard = () => {}
  /** Resolves with the first answer. */
  readonly answered = new Promise<void>((resolve) => {
    this.#heard = resolve
  })

  static async start(address: string, recorder: Recorder): Promise<Load> {
    return new Load(await MiddleMan.connect({ client: address, connectTimeout: 1000 }), recorder)
  }

  private constructor(middleMan: MiddleMan, recorder: Recorder) {
    this.#middleMan = middleMan
    this.#recorder = recorder
    this.#lanes = Array.from({ length: LANES }, () => this.#lane())
  }

  /** Resolves when every call has its answer, or never gets one: with `timeout` 0 without waiting for any. */
  async stop(timeout?: number): Promise<void> {
    this.#stopped = true
    await this.#middleMan.close({ timeout })
    await Promise.all(this.#lanes)
  }

  async #lane(): Promise<void> {
    let last: WantedJob | undefined
    while (!this.#stopped) {
      const chance = Math.random()
      if (chance < 0.07 && last !== undefined) await this.#dequeue(last)
      else if (chance < 0.14) await this.#enqueue(Array.from({ length: IN_BULK }, uniqueJob))
      else {
        last = chance < 0.22 ? sharedJob() : uniqueJob()
        await this.#enqueue([last])
      }
    }
  }

  async #enqueue(jobs: readonly WantedJob[]): Promise<void> {
    const call = this.#recorder.invoke({ op: 'enqueue', jobs })
    await this.#answered(call, async () => {
      this.#recorder.ok(call, { op: 'enqueue', jobs: await this.#send(jobs) })
    })
  }

  async #send(jobs: readonly WantedJob[]): Promise<JobHandle[]> {
    const [job] = jobs
    if (jobs.length > 1 || job === undefined) return this.#middleMan.enqueueMany(jobs.map(asBulkJob))
    const { jobKey, priority, maxAttempts: attempts, atMostOnce, runAt: scheduledAt } = job
    const options = { arg: argument(job), jobKey, priority, attempts, atMostOnce }
    const worker = this.#middleMan.worker(job.worker)
    const { enqRun, enqFailing, enqFinishing } = worker
    const send = { run: enqRun, failing: enqFailing, finishing: enqFinishing }[job.method]
    return [(await send!(scheduledAt === 0 ? options : { ...options, scheduledAt })) as JobHandle]
  }

  async #dequeue({ worker, workerKey, jobKey }: WantedJob): Promise<void> {
    const call = this.#recorder.invoke({ op: 'dequeue', queue: { worker, workerKey }, jobKey })
    await this.#answered(call, async () => {
      const removed = await this.#middleMan.worker(worker).deqRun!({ jobKey })
      this.#recorder.ok(call, { op: 'dequeue', removed: removed === true })
    })
  }

  async #answered(call: number, send: () => Promise<void>): Promise<void> {
    try {
      await send()
      this.#heard()
    } catch (error) {
      const { executed = 'maybe', code = '' } = error as { executed?: string; code?: string }
      this.#recorder.failed(call, executed, code)
    }
  }
}

function uniqueJob(): WantedJob {
  const token = `t${tokens++}`
  const chance = Math.random()
  const method = chance < 0.8 ? 'run' : chance < 0.9 ? 'failing' : 'finishing'
  return {
    worker: pick(WORKERS),
    workerKey: '',
    jobKey: `key of ${token}`,
    method,
    runAt: Math.random() < 0.1 ? Date.now() + Math.floor(Math.random() * LONGEST_DELAY) : 0,
    priority: Math.floor(Math.random() * 3),
    maxAttempts: 1 + Math.floor(Math.random() * 5),
    atMostOnce: Math.random() < 0.1,
    token,
  }
}

function sharedJob(): WantedJob {
  const jobKey = `shared ${Math.floor(Math.random() * SHARED_KEYS)}`
  return { ...uniqueJob(), jobKey, method: 'run', maxAttempts: MANY_ATTEMPTS, atMostOnce: false }
}

/** Some take a while, so that kills find them at work. */
function argument({ token, method }: WantedJob): object {
  const ms = Math.random() < 0.05 ? { ms: Math.floor(Math.random() * 20) } : {}
  return { token, ...ms, ...(method === 'failing' ? { until: 1 + (token.length % 3) } : {}) }
}

function asBulkJob(job: WantedJob): BulkJob {
  const { worker, method, jobKey, priority, maxAttempts: attempts, atMostOnce, runAt } = job
  const scheduledAt = runAt === 0 ? undefined : runAt
  return { worker, method, jobKey, priority, attempts, atMostOnce, scheduledAt, arg: argument(job) }
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)]!
}
