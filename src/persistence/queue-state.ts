/**
 * The jobs of a store as data: by id, by queue and key, in order of priority and of time, counted by state.
 * The rules that change it are in queue.ts; replay.ts rebuilds it from a journal.
 */
import { Heap } from './heap.js'
import { type Counts, dueFirst, type Job, type JobQueue, readyFirst, zeroCounts } from './job.js'
import { JobTable } from './job-table.js'
import { KeyTable } from './key-table.js'
import type { JobState } from './store.js'

export class QueueState {
  readonly jobs = new JobTable()
  readonly keys = new KeyTable(this.jobs)
  readonly scheduled = new Heap<Job>(dueFirst)
  readonly total: Counts = zeroCounts()
  #nextNumber = 1
  readonly #queues = new Map<string, Map<string, JobQueue>>()
  /** The queue used last: calls come in runs for one queue. */
  #last: JobQueue | undefined
  #gained: JobQueue[] = []

  find(worker: string, workerKey: string): JobQueue | undefined {
    const last = this.#last
    if (last !== undefined && last.worker === worker && last.workerKey === workerKey) return last
    const queue = this.#queues.get(worker)?.get(workerKey)
    if (queue !== undefined) this.#last = queue
    return queue
  }

  ensure(worker: string, workerKey: string): JobQueue {
    const found = this.find(worker, workerKey)
    if (found !== undefined) return found
    const queue: JobQueue = {
      worker,
      workerKey,
      number: this.#nextNumber++,
      keys: 0,
      ready: new Heap<Job>(readyFirst),
      counts: zeroCounts(),
      alone: undefined,
      gained: false,
    }
    let byKey = this.#queues.get(worker)
    if (byKey === undefined) {
      byKey = new Map()
      this.#queues.set(worker, byKey)
    }
    byKey.set(workerKey, queue)
    this.#last = queue
    return queue
  }

  *all(): Generator<JobQueue> {
    for (const byKey of this.#queues.values()) yield* byKey.values()
  }

  /** Moves a durable job to another state: counts and heaps follow. */
  move(job: Job, state: JobState): void {
    const { queue } = job
    if (job.state !== 'storing') {
      this.leaveHeap(job)
      queue.counts[job.state]--
      this.total[job.state]--
    }
    job.state = state
    queue.counts[state]++
    this.total[state]++
    this.enterHeap(job)
  }

  enterHeap(job: Job): void {
    if (job.state === 'ready') {
      job.queue.ready.push(job)
      this.gain(job.queue)
    } else if (job.state === 'scheduled') this.scheduled.push(job)
  }

  leaveHeap(job: Job): void {
    if (job.slot < 0) return
    if (job.state === 'ready') job.queue.ready.remove(job)
    else this.scheduled.remove(job)
  }

  /** Forgets a job that is in no heap. */
  forget(job: Job): void {
    const { queue } = job
    if (job.state !== 'storing') {
      queue.counts[job.state]--
      this.total[job.state]--
    }
    this.keys.remove(job)
    this.jobs.delete(job.id)
    this.#dropIfEmpty(queue)
  }

  /** Notes that a queue may have become claimable, for the next `takeGained`. */
  gain(queue: JobQueue): void {
    if (queue.gained) return
    queue.gained = true
    this.#gained.push(queue)
  }

  takeGained(): readonly JobQueue[] {
    const gained = this.#gained
    if (gained.length === 0) return gained
    this.#gained = []
    for (const queue of gained) queue.gained = false
    return gained
  }

  dropEmptyQueues(): void {
    for (const queue of [...this.all()]) this.#dropIfEmpty(queue)
  }

  /** Names of keyed instances come and go without end: a queue without jobs is not kept. */
  #dropIfEmpty(queue: JobQueue): void {
    const { scheduled, ready, active, dead } = queue.counts
    if (queue.keys > 0 || scheduled + ready + active + dead > 0) return
    const byKey = this.#queues.get(queue.worker)
    byKey?.delete(queue.workerKey)
    if (byKey?.size === 0) this.#queues.delete(queue.worker)
    if (this.#last === queue) this.#last = undefined
  }
}
