/**
 * The jobs of a store as data: by id, by queue and key, in order of priority and of time, counted by state.
 * The rules that change it are in queue.ts; replay.ts rebuilds it from a journal.
 */
import { RowHeap } from './heap.js'
import { IdTable } from './id-table.js'
import type { JobBodies } from './job-bodies.js'
import { Flag, type JobColumns, NONE, Pending, State } from './job-columns.js'
import { type JobQueue, zeroCounts } from './job-queue.js'
import { KeyHash } from './key-hash.js'
import { KeyTable } from './key-table.js'

export class QueueState {
  readonly jobs: JobColumns
  readonly bodies: JobBodies
  readonly ids: IdTable
  readonly keys: KeyTable
  readonly hash: KeyHash
  readonly scheduled: RowHeap
  /** By state. */
  readonly total = zeroCounts()
  readonly #queues = new Map<string, Map<string, JobQueue>>()
  /** By their number. */
  readonly #numbered: (JobQueue | undefined)[] = []
  readonly #freeNumbers: number[] = []
  /** The queue used last: calls come in runs for one queue. */
  #last: JobQueue | undefined
  #gained: JobQueue[] = []
  readonly #readyFirst: (a: number, b: number) => boolean

  /** `seed`: see `KeyHash`. No outcome depends on it. */
  constructor(jobs: JobColumns, bodies: JobBodies, seed: number) {
    this.jobs = jobs
    this.bodies = bodies
    this.ids = new IdTable(jobs)
    this.keys = new KeyTable(jobs, bodies)
    this.hash = new KeyHash(seed)
    const { id, priority, runAt, slot } = jobs
    this.#readyFirst = (a, b) => {
      const [first, second] = [priority.get(a), priority.get(b)]
      return first === second ? id.get(a) < id.get(b) : first > second
    }
    this.scheduled = new RowHeap(slot, (a, b) => {
      const [first, second] = [runAt.get(a), runAt.get(b)]
      return first === second ? id.get(a) < id.get(b) : first < second
    })
  }

  find(worker: string, workerKey: string): JobQueue | undefined {
    const last = this.#last
    if (last !== undefined && last.worker === worker && last.workerKey === workerKey) return last
    const queue = this.#queues.get(worker)?.get(workerKey)
    if (queue !== undefined) this.#last = queue
    return queue
  }

  ensure(worker: string, workerKey: string): JobQueue {
    return this.find(worker, workerKey) ?? this.#addQueue(worker, workerKey)
  }

  queueOf(row: number): JobQueue {
    return this.#numbered[this.jobs.queue.get(row)]!
  }

  *all(): Generator<JobQueue> {
    for (const byKey of this.#queues.values()) yield* byKey.values()
  }

  /** A new row, filled, with its id known; `hash` holds the hash of its key. It has no key and no state yet. */
  add(id: number, queue: JobQueue, runAt: number, priority: number, maxAttempts: number, atMostOnce: boolean): number {
    const { jobs, hash } = this
    const row = jobs.add()
    jobs.id.set(row, id)
    jobs.queue.set(row, queue.number)
    jobs.runAt.set(row, runAt)
    jobs.priority.set(row, priority)
    jobs.maxAttempts.set(row, maxAttempts)
    jobs.attempts.set(row, 0)
    jobs.hashA.set(row, hash.a)
    jobs.hashB.set(row, hash.b)
    jobs.slot.set(row, NONE)
    jobs.state.set(row, State.storing)
    jobs.pending.set(row, Pending.none)
    jobs.flags.set(row, atMostOnce ? Flag.atMostOnce : 0)
    this.ids.add(row)
    queue.jobs++
    return row
  }

  /** Moves a durable job to another state: counts and heaps follow. */
  move(row: number, state: State): void {
    const queue = this.queueOf(row)
    this.#leaveState(row, queue)
    this.jobs.state.set(row, state)
    queue.counts[state]!++
    this.total[state]!++
    this.enterHeap(row)
  }

  enterHeap(row: number): void {
    const state = this.jobs.state.get(row)
    if (state === State.ready) {
      const queue = this.queueOf(row)
      queue.ready.push(row)
      this.gain(queue)
    } else if (state === State.scheduled) this.scheduled.push(row)
  }

  leaveHeap(row: number): void {
    if (this.jobs.slot.get(row) === NONE) return
    const state = this.jobs.state.get(row)
    if (state === State.ready) this.queueOf(row).ready.remove(row)
    else if (state === State.scheduled) this.scheduled.remove(row)
  }

  /** Forgets a job, whatever its state. */
  forget(row: number): void {
    const queue = this.queueOf(row)
    this.#leaveState(row, queue)
    this.keys.remove(row)
    this.ids.remove(row)
    this.bodies.forget(row)
    this.jobs.remove(row)
    queue.jobs--
    // Names of keyed instances come and go without end: a queue without jobs is not kept.
    if (queue.jobs === 0) this.#dropQueue(queue)
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

  #leaveState(row: number, queue: JobQueue): void {
    const state = this.jobs.state.get(row)
    if (state === State.storing) return
    this.leaveHeap(row)
    queue.counts[state]!--
    this.total[state]!--
  }

  #addQueue(worker: string, workerKey: string): JobQueue {
    const number = this.#freeNumbers.pop() ?? this.#numbered.length
    const queue: JobQueue = {
      worker,
      workerKey,
      number,
      ready: new RowHeap(this.jobs.slot, this.#readyFirst),
      counts: zeroCounts(),
      jobs: 0,
      alone: NONE,
      gained: false,
    }
    this.#numbered[number] = queue
    let byKey = this.#queues.get(worker)
    if (byKey === undefined) {
      byKey = new Map()
      this.#queues.set(worker, byKey)
    }
    byKey.set(workerKey, queue)
    this.#last = queue
    return queue
  }

  #dropQueue(queue: JobQueue): void {
    this.#numbered[queue.number] = undefined
    this.#freeNumbers.push(queue.number)
    const byKey = this.#queues.get(queue.worker)
    byKey?.delete(queue.workerKey)
    if (byKey?.size === 0) this.#queues.delete(queue.worker)
    if (this.#last === queue) this.#last = undefined
  }
}
