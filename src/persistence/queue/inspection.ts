/**
 * Finds jobs for people to look at, in the order of their ids. A long table is searched in pieces, so that calls and
 * jobs go on meanwhile; each job is told as it was when it was looked at.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JobFilter, JobInfo } from '../store.js'
import { Flag, NONE } from './job-columns.js'
import { stateName } from './job-queue.js'
import type { QueueState } from './queue-state.js'

const DEFAULT_PAGE = 100
export const ROWS_A_TURN = 65_536

export async function inspect(state: QueueState, filter: JobFilter): Promise<JobInfo[]> {
  const limit = filter.limit ?? DEFAULT_PAGE
  if (limit <= 0) return []
  const ids = new LowestIds(limit)
  for (let from = 0; from < state.jobs.end; from += ROWS_A_TURN) {
    if (from > 0) await nextTurn()
    search(state, filter, from, ids)
  }
  const found: JobInfo[] = []
  for (const id of ids.sorted()) {
    const info = jobInfo(state, state.ids.find(id))
    if (info !== undefined) found.push(info)
  }
  return found
}

/** Only columns are looked at, but for jobs whose key has the same hash as the one that is wanted. */
function search(state: QueueState, filter: JobFilter, from: number, ids: LowestIds): void {
  const { jobs, bodies } = state
  const { worker, workerKey, jobKey, after = 0 } = filter
  const end = Math.min(jobs.end, from + ROWS_A_TURN)
  const key = jobKey === undefined ? undefined : state.hash.ofText(jobKey)
  const [a, b] = [key?.a, key?.b]
  for (let row = from; row < end; row++) {
    const name = stateName(jobs.state.get(row))
    if (name === undefined || (filter.state === undefined ? name === 'finished' : name !== filter.state)) continue
    const id = jobs.id.get(row)
    if (id <= after) continue
    if (worker !== undefined || workerKey !== undefined) {
      const queue = state.queueOf(row)
      if (worker !== undefined && queue.worker !== worker) continue
      if (workerKey !== undefined && queue.workerKey !== workerKey) continue
    }
    if (jobKey !== undefined) {
      if (jobs.hashA.get(row) !== a || jobs.hashB.get(row) !== b || !bodies.hasKey(row, jobKey)) continue
    }
    ids.add(id)
  }
}

/** Undefined when the job has gone meanwhile. */
export function jobInfo(state: QueueState, row: number): JobInfo | undefined {
  const { jobs, bodies } = state
  const name = row === NONE ? undefined : stateName(jobs.state.get(row))
  if (name === undefined) return undefined
  const { worker, workerKey } = state.queueOf(row)
  const body = bodies.read(row)
  const { method = '', jobKey = '', enqueuedAt = 0, expiresAt = 0, timeout = 0 } = body ?? {}
  const info: JobInfo = {
    id: jobs.id.get(row),
    worker,
    workerKey,
    method,
    jobKey,
    state: name,
    priority: jobs.priority.get(row),
    runAt: jobs.runAt.get(row),
    enqueuedAt,
    attempts: jobs.attempts.get(row),
    maxAttempts: jobs.maxAttempts.get(row),
    ...(expiresAt === 0 ? {} : { expiresAt }),
    ...(timeout === 0 ? {} : { timeout }),
  }
  const failure = jobs.has(row, Flag.failed) ? bodies.failure(row) : undefined
  return failure === undefined ? info : { ...info, failure }
}

/** The lowest of many ids, which come in any order. */
class LowestIds {
  readonly #limit: number
  #ids: number[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  add(id: number): void {
    this.#ids.push(id)
    if (this.#ids.length >= 2 * this.#limit + 1024) this.#ids = this.sorted()
  }

  sorted(): number[] {
    return this.#ids.sort((a, b) => a - b).slice(0, this.#limit)
  }
}
