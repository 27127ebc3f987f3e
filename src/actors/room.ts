/** How many queued jobs a worker should be sent, so that it neither waits for work nor hoards it. */
import type { WorkerDescription } from './description.js'

type Capacity = Pick<WorkerDescription, 'concurrency' | 'mailboxLimit'>

/** Jobs are sent ahead for so many milliseconds of work, and never more than this many. */
const PREFETCH_MS = 5
const PREFETCH_LIMIT = 512

/** How many turns could start at once. */
export function freePlaces({ concurrency }: Pick<Capacity, 'concurrency'>, outstanding: number): number {
  return Math.max(0, concurrency - outstanding)
}

/** `meanTurn` in milliseconds, 0 while unknown; `outstanding` messages have no outcome yet. */
export function roomFor(worker: Capacity, meanTurn: number, outstanding: number): number {
  const { concurrency, mailboxLimit } = worker
  const ahead = meanTurn === 0 ? 0 : Math.floor(PREFETCH_MS / meanTurn)
  const wanted = Math.max(concurrency, Math.min(PREFETCH_LIMIT, concurrency + ahead))
  return Math.max(0, Math.min(wanted, mailboxLimit) - outstanding)
}
