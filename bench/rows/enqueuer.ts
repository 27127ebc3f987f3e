/** One side of an enqueue row: something that takes jobs and answers when they are on disk. */
import { type Contender, keepInFlight } from '../measure.js'

/** Jobs of a bulk call. */
export const BULK = 500

export interface Enqueuer {
  readonly name: string
  /** Bulk calls in flight: as many as serve it best. */
  readonly bulkInFlight: number
  /** One job that was not there before. */
  enqueue(): Promise<void>
  /** `BULK` jobs that were not there before, in one call. */
  enqueueBulk(): Promise<void>
}

export const IN_FLIGHT = [1, 64, 1024] as const
export const inFlightRow = (lanes: number) => `durable enqueue, ${lanes} in flight`
export const BULK_ROW = `durable enqueue, ${BULK} a call`

export function singly(enqueuer: Enqueuer, lanes: number): Contender {
  const call = () => enqueuer.enqueue()
  return { name: enqueuer.name, round: async (ms) => ({ rate: await keepInFlight(lanes, ms, call) }) }
}

export function inBulk(enqueuer: Enqueuer): Contender {
  const call = () => enqueuer.enqueueBulk()
  return {
    name: enqueuer.name,
    round: async (ms) => ({ rate: BULK * (await keepInFlight(enqueuer.bulkInFlight, ms, call)) }),
  }
}
