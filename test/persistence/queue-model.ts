/** The queue's rules again, as plainly as possible: a list, searched from end to end. For comparison only. */

import type { NewJob } from '#offstage/persistence/store.js'

export interface ModelJob {
  id: number
  worker: string
  jobKey: string
  runAt: number
  priority: number
  maxAttempts: number
  atMostOnce: boolean
  attempts: number
  suspect: boolean
  state: 'waiting' | 'active' | 'dead'
}

export class QueueModel {
  jobs: ModelJob[] = []

  enqueue(id: number, job: Omit<ModelJob, 'id' | 'attempts' | 'suspect' | 'state'>): number {
    const holder = this.jobs.find((j) => j.worker === job.worker && j.jobKey === job.jobKey && j.state !== 'dead')
    if (holder) return holder.id
    this.jobs.push({ ...job, id, attempts: 0, suspect: false, state: 'waiting' })
    return id
  }

  /** The ids that a claim takes. */
  claimable(worker: string, limit: number, now: number): number[] {
    const active = this.jobs.filter((j) => j.worker === worker && j.state === 'active')
    if (active.some((j) => j.suspect)) return []
    const due = this.jobs
      .filter((j) => j.worker === worker && j.state === 'waiting' && j.runAt <= now)
      .sort((a, b) => b.priority - a.priority || a.id - b.id)
    const ids: number[] = []
    for (const job of due) {
      if (ids.length >= limit) break
      if (job.suspect && active.length + ids.length > 0) break
      ids.push(job.id)
      if (job.suspect) break
    }
    return ids
  }

  start(id: number): void {
    const job = this.get(id)
    job.state = 'active'
    job.attempts++
  }

  current(id: number, attempt: number): ModelJob | undefined {
    return this.jobs.find((j) => j.id === id && j.state === 'active' && j.attempts === attempt)
  }

  fail(id: number, delay: (attempt: number) => number, crashed: boolean, now: number): void {
    const job = this.get(id)
    if (job.atMostOnce || job.attempts >= job.maxAttempts) this.die(job, now)
    else {
      job.state = 'waiting'
      job.suspect = crashed
      job.runAt = now + delay(job.attempts)
    }
  }

  release(id: number, runAt: number, counted: boolean, now: number): void {
    const job = this.get(id)
    if (counted && (job.atMostOnce || job.attempts >= job.maxAttempts)) {
      this.die(job, now)
      return
    }
    if (counted) job.suspect = false
    else job.attempts--
    job.state = 'waiting'
    job.runAt = runAt
  }

  replace(id: number, { runAt, priority, maxAttempts, atMostOnce, whenTaken }: NewJob): void {
    const job = this.get(id)
    const time = whenTaken === 'replace' ? job.runAt : runAt
    Object.assign(job, { runAt: time, priority, maxAttempts, atMostOnce, attempts: 0, suspect: false })
  }

  waiting(worker: string, jobKey: string): ModelJob | undefined {
    return this.jobs.find((j) => j.worker === worker && j.jobKey === jobKey && j.state === 'waiting')
  }

  discardable(id: number): boolean {
    const job = this.jobs.find((j) => j.id === id)
    return job !== undefined && job.state !== 'active'
  }

  revivable(id: number): 'revived' | 'taken' | 'unknown' {
    const job = this.jobs.find((j) => j.id === id)
    if (job?.state !== 'dead') return 'unknown'
    const holder = this.jobs.some((j) => j.worker === job.worker && j.jobKey === job.jobKey && j.state !== 'dead')
    return holder ? 'taken' : 'revived'
  }

  revive(id: number, now: number): void {
    Object.assign(this.get(id), { state: 'waiting', attempts: 0, suspect: false, runAt: now })
  }

  drop(id: number): void {
    this.jobs = this.jobs.filter((j) => j.id !== id)
  }

  restart(): void {
    for (const job of this.jobs) {
      if (job.state !== 'active') continue
      if (job.atMostOnce || job.attempts >= job.maxAttempts) this.die(job, job.runAt)
      else {
        job.state = 'waiting'
        job.suspect = true
      }
    }
  }

  get(id: number): ModelJob {
    return this.jobs.find((j) => j.id === id)!
  }

  private die(job: ModelJob, at: number): void {
    job.state = 'dead'
    job.runAt = at
    job.suspect = false
  }
}
