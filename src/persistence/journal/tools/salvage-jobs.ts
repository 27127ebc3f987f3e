/**
 * What is known of each job when records are missing. Where records tell what must have been in a gap, it is used: a
 * key that was given away belongs to a job that has ended. Where they do not, a job counts as unfinished: it is better
 * run twice than never. Only a job that may run at most once is not run again when it may have run.
 */
import type { JobFailure } from '../../store.js'
import { keyText } from './ledger.js'
import type { RecordBody, RecordedState, RecordHead } from './record.js'
import type { DamagedJob } from './rescue.js'

/** Where a record stands that holds a whole job. */
interface JobPlace {
  /** Of the list of segments that are read. */
  readonly index: number
  readonly at: number
  readonly end: number
}

export interface SalvagedJob {
  readonly id: number
  readonly key: string
  readonly place: JobPlace
  readonly atMostOnce: boolean
  state: RecordedState
  attempts: number
  runAt: number
  suspect: boolean
  failure: JobFailure | undefined
  /** It is dead, and no record says when it died. */
  diedUnseen: boolean
  /** The last record that is known of it. */
  lastSeq: number
  fate: 'certain' | 'doubtful' | 'unknown' | 'ended'
}

/** A job that is lost and was heard of: by its damaged record, by later records, or by both. */
export interface LostJob {
  readonly id: number
  readonly damaged: DamagedJob | undefined
  /** The type of the last record that is known of it, and its number. */
  readonly last: { readonly type: RecordBody['type']; readonly seq: number } | undefined
}

export class SalvageJobs {
  readonly #jobs = new Map<number, SalvagedJob>()
  readonly #keys = new Map<string, SalvagedJob>()
  readonly #damaged = new Map<number, DamagedJob>()
  readonly #heardOf = new Map<number, { type: RecordBody['type']; seq: number }>()
  /** Before this number records are lost that may have been about any job. */
  #lostBefore = 0

  /** Records with numbers below `seq` are lost, and nobody knows what they were. */
  lose(seq: number): void {
    this.#lostBefore = Math.max(this.#lostBefore, seq)
  }

  damaged(job: DamagedJob): void {
    this.#damaged.set(job.id, job)
  }

  apply(seq: number, head: RecordHead, body: RecordBody, index: number): void {
    const id = head.jobId
    switch (body.type) {
      case 'ENQ':
      case 'FULL':
        this.#add(seq, head, body, index)
        break
      case 'CLAIM': {
        const job = this.#hear(id, seq, body)
        if (job !== undefined) {
          job.state = 'active'
          job.attempts = body.attempt
        }
        break
      }
      case 'RETRY':
      case 'DEAD': {
        const job = this.#hear(id, seq, body)
        if (job === undefined) break
        const { attempts, runAt, suspect, failure } = body
        if (job.state === 'dead' && body.type === 'RETRY') this.#takeKey(job)
        job.state = body.type === 'DEAD' ? 'dead' : 'waiting'
        Object.assign(job, { attempts, runAt, suspect, failure: failure ?? job.failure })
        if (job.state === 'dead') this.#free(job)
        break
      }
      case 'DONE':
      case 'RESULT':
      case 'DEQ':
        this.#forget(id)
        break
      case 'SEAL':
      case 'unknown':
        break
    }
  }

  /** All that are left, in the order of their ids, with what is to become of those that are in doubt. */
  end(): SalvagedJob[] {
    const jobs = [...this.#jobs.values()].sort((a, b) => a.id - b.id)
    for (const job of jobs) {
      if (job.state === 'dead' || job.lastSeq >= this.#lostBefore) continue
      if (!job.atMostOnce) job.fate = 'doubtful'
      else this.#kill(job, 'unknown', 'records are lost that may say that it was started')
    }
    return jobs
  }

  /** Jobs of which no whole record is left. */
  lost(): LostJob[] {
    const ids = new Set([...this.#damaged.keys(), ...this.#heardOf.keys()])
    const lost: LostJob[] = []
    for (const id of ids) {
      if (!this.#jobs.has(id)) lost.push({ id, damaged: this.#damaged.get(id), last: this.#heardOf.get(id) })
    }
    return lost.sort((a, b) => a.id - b.id)
  }

  #add(seq: number, head: RecordHead, body: Extract<RecordBody, { type: 'ENQ' | 'FULL' }>, index: number): void {
    const { job } = body
    this.#forget(head.jobId)
    const added: SalvagedJob = {
      id: head.jobId,
      key: keyText(job.worker, job.workerKey, job.jobKey),
      place: { index, at: head.at, end: head.end },
      atMostOnce: job.atMostOnce,
      state: body.type === 'FULL' ? body.state : 'waiting',
      attempts: body.type === 'FULL' ? body.attempts : 0,
      runAt: job.runAt,
      suspect: body.type === 'FULL' && body.suspect,
      failure: body.type === 'FULL' ? body.failure : undefined,
      lastSeq: seq,
      diedUnseen: false,
      fate: 'certain',
    }
    this.#jobs.set(added.id, added)
    if (added.state !== 'dead') this.#takeKey(added)
  }

  #takeKey(job: SalvagedJob): void {
    const holder = this.#keys.get(job.key)
    if (holder !== undefined && holder !== job) this.#ended(holder)
    this.#keys.set(job.key, job)
  }

  /** Its key was given away: it had ended, or died with its supervisor. */
  #ended(job: SalvagedJob): void {
    if (job.lastSeq < this.#lostBefore) {
      this.#kill(job, 'ended', 'it ended, since its key was given to a later job; how it ended is lost')
      return
    }
    job.failure = stopped(job)
    job.state = 'dead'
    job.diedUnseen = true
    this.#free(job)
  }

  #kill(job: SalvagedJob, fate: SalvagedJob['fate'], why: string): void {
    job.failure = { name: 'Salvaged', message: `outcome unknown: the journal was damaged, and ${why}` }
    job.state = 'dead'
    job.diedUnseen = true
    job.fate = fate
    this.#free(job)
  }

  #hear(id: number, seq: number, { type }: RecordBody): SalvagedJob | undefined {
    const job = this.#jobs.get(id)
    if (job === undefined) this.#heardOf.set(id, { type, seq })
    else job.lastSeq = seq
    return job
  }

  #forget(id: number): void {
    const job = this.#jobs.get(id)
    if (job !== undefined) this.#free(job)
    this.#jobs.delete(id)
    this.#damaged.delete(id)
    this.#heardOf.delete(id)
  }

  #free(job: SalvagedJob): void {
    if (this.#keys.get(job.key) === job) this.#keys.delete(job.key)
  }
}

/** As the opening of a journal puts it. */
function stopped({ attempts, atMostOnce }: SalvagedJob): JobFailure {
  const message = `the supervisor stopped while attempt ${attempts} ran`
  return { name: 'SupervisorStopped', message: atMostOnce ? `outcome unknown: ${message}` : message }
}
