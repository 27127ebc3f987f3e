/** Finds one job, also one that is over and kept. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FoundJob, JobRef, QueueName } from '../store.js'
import { jobInfo, ROWS_A_TURN } from './inspection.js'
import { NONE, State } from './job-columns.js'
import type { QueueState } from './queue-state.js'

/** By its id, or the one that has the key; when none has it, the newest that had it. */
export async function find(state: QueueState, ref: JobRef): Promise<FoundJob | undefined> {
  const row = 'id' in ref ? state.ids.find(ref.id) : rowOf(state, ref, ref.jobKey)
  const found = jobOf(state, row)
  return found !== undefined || 'id' in ref ? found : jobOf(state, state.ids.find(await newest(state, ref, ref.jobKey)))
}

function jobOf(state: QueueState, row: number): FoundJob | undefined {
  const info = jobInfo(state, row)
  if (info?.state !== 'finished') return info
  const value = state.bodies.read(row)?.payload
  return value === undefined ? undefined : { ...info, value }
}

function rowOf(state: QueueState, { worker, workerKey }: QueueName, jobKey: string): number {
  const queue = state.find(worker, workerKey)
  return queue === undefined ? NONE : state.keys.find(queue.number, state.hash.ofText(jobKey), jobKey)
}

/** The highest id of a job that had the key, or 0. No table knows those that are over: they are searched for, in pieces. */
async function newest(state: QueueState, { worker, workerKey }: QueueName, jobKey: string): Promise<number> {
  const { jobs, bodies } = state
  let highest = 0
  for (let from = 0; from < jobs.end; from += ROWS_A_TURN) {
    if (from > 0) await nextTurn()
    const queue = state.find(worker, workerKey)
    if (queue === undefined) break
    const { a, b } = state.hash.ofText(jobKey)
    const end = Math.min(jobs.end, from + ROWS_A_TURN)
    for (let row = from; row < end; row++) {
      const found = jobs.state.get(row)
      if (found !== State.finished && found !== State.dead) continue
      if (jobs.hashA.get(row) !== a || jobs.hashB.get(row) !== b || jobs.queue.get(row) !== queue.number) continue
      if (jobs.id.get(row) > highest && bodies.hasKey(row, jobKey)) highest = jobs.id.get(row)
    }
  }
  return highest
}
