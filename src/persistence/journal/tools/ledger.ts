/**
 * What a journal's records say about each job, in the order in which they were written: which jobs there are, in
 * which state, and who has which key. Follows the same rules as the opening of a journal, without the queue.
 */
import type { RecordBody, RecordedJob, RecordedState, RecordHead } from './record.js'

export interface LedgerJob {
  readonly id: number
  /** Worker, worker key and job key as one text: what must be unique among unfinished jobs. */
  readonly key: string
  state: RecordedState
  runAt: number
  /** Bytes of the newest record that holds the whole job. */
  readonly bytes: number
}

interface LedgerTotals {
  scheduled: number
  ready: number
  active: number
  dead: number
  /** Bytes of the records that hold the jobs: what would be left of the journal if nothing else were kept. */
  liveBytes: number
}

export class Ledger {
  readonly #jobs = new Map<number, LedgerJob>()
  /** The unfinished job of each key. */
  readonly #keys = new Map<string, LedgerJob>()

  /** Returns what is impossible about the record, if anything. */
  apply(head: RecordHead, body: RecordBody): string | undefined {
    switch (body.type) {
      case 'ENQ':
        return this.#add(head, body.job, 'waiting')
      case 'FULL':
        this.#remove(head.jobId)
        return this.#add(head, body.job, body.state)
      case 'CLAIM':
        return this.#change(head.jobId, 'active')
      case 'RETRY':
      case 'DEAD':
        return this.#change(head.jobId, body.type === 'DEAD' ? 'dead' : 'waiting', body.runAt)
      case 'DONE':
      case 'RESULT':
      case 'DEQ':
        this.#remove(head.jobId)
        return undefined
      case 'SEAL':
      case 'unknown':
        return undefined
    }
  }

  totals(now: number): LedgerTotals {
    const totals: LedgerTotals = { scheduled: 0, ready: 0, active: 0, dead: 0, liveBytes: 0 }
    for (const job of this.#jobs.values()) {
      totals[job.state === 'waiting' ? (job.runAt > now ? 'scheduled' : 'ready') : job.state]++
      totals.liveBytes += job.bytes
    }
    return totals
  }

  #add(head: RecordHead, { worker, workerKey, jobKey, runAt }: RecordedJob, state: RecordedState): string | undefined {
    const key = keyText(worker, workerKey, jobKey)
    const job: LedgerJob = { id: head.jobId, key, state, runAt, bytes: head.end - head.at }
    this.#jobs.set(job.id, job)
    if (state === 'dead') return undefined
    return this.#takeKey(job)
  }

  #takeKey(job: LedgerJob): string | undefined {
    const holder = this.#keys.get(job.key)
    this.#keys.set(job.key, job)
    if (holder === undefined || holder.id === job.id) return undefined
    const { state: before } = holder
    holder.state = 'dead'
    // No record says that an active job died with its supervisor; that its key was given away does.
    return before === 'active' ? undefined : `job ${job.id} has the key of job ${holder.id}, which is not finished`
  }

  #change(id: number, state: RecordedState, runAt?: number): string | undefined {
    const job = this.#jobs.get(id)
    if (job === undefined) return undefined
    const revived = job.state === 'dead' && state === 'waiting'
    job.state = state
    if (runAt !== undefined) job.runAt = runAt
    if (state === 'dead') this.#free(job)
    return revived ? this.#takeKey(job) : undefined
  }

  #remove(id: number): void {
    const job = this.#jobs.get(id)
    if (job === undefined) return
    this.#jobs.delete(id)
    this.#free(job)
  }

  #free(job: LedgerJob): void {
    if (this.#keys.get(job.key) === job) this.#keys.delete(job.key)
  }
}

/** Names hold any character, so that their lengths have to tell where each ends. */
export function keyText(worker: string, workerKey: string, jobKey: string): string {
  return `${worker.length}:${workerKey.length}:${worker}${workerKey}${jobKey}`
}
