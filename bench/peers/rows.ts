/** Our enqueue rows and the largest drain row, beside the peers. */
import { fdatasyncLoop } from '../floors/fdatasync.js'
import { alternate, type Contender } from '../measure.js'
import { compare, type Result } from '../result.js'
import type { Context } from '../rows/context.js'
import { BULK, BULK_ROW, type Enqueuer, IN_FLIGHT, inBulk, inFlightRow, singly } from '../rows/enqueuer.js'
import { drainRow, OffstageDrain } from '../rows/offstage_drain.js'
import { OffstageEnqueuer } from '../rows/offstage_enqueuer.js'
import type { Peer } from './peer.js'

const CONCURRENCY = 100
const DRAIN_ROW = drainRow(CONCURRENCY)

export async function peerEnqueueRows(context: Context, peers: readonly Peer[]): Promise<Result[]> {
  const { folder, plan, selected } = context
  const lanesSelected = IN_FLIGHT.filter((lanes) => selected(inFlightRow(lanes)))
  if (lanesSelected.length === 0 && !selected(BULK_ROW)) return []

  const ours = await OffstageEnqueuer.start(`${folder}/enqueue`)
  const theirs = peers.map((peer) => new PeerEnqueuer(peer))
  const enqueuers = [ours, ...theirs]
  const loop = fdatasyncLoop(`${folder}/fdatasync`)

  const results: Result[] = []
  for (const lanes of lanesSelected) {
    const contenders = enqueuers.map((enqueuer) => singly(enqueuer, lanes))
    if (lanes === 1) contenders.push(loop)
    results.push(compare(inFlightRow(lanes), '/s', 'rate', await alternate(contenders, plan)))
  }
  if (selected(BULK_ROW)) {
    results.push(compare(BULK_ROW, '/s', 'rate', await alternate(enqueuers.map(inBulk), plan)))
  }

  loop.close()
  await ours.close()
  for (const enqueuer of theirs) await enqueuer.expectHeld()
  return results
}

export async function peerDrainRow({ folder, plan, selected }: Context, peers: readonly Peer[]): Promise<Result[]> {
  if (!selected(DRAIN_ROW)) return []
  const ours = await OffstageDrain.start(`${folder}/drain`)
  const measured = await alternate([ours.contender(CONCURRENCY), ...peers.map(drainContender)], plan)
  await ours.close()
  return [compare(DRAIN_ROW, '/s', 'rate', measured)]
}

class PeerEnqueuer implements Enqueuer {
  readonly name: string
  readonly bulkInFlight: number
  readonly #peer: Peer
  #enqueued = 0

  constructor(peer: Peer) {
    this.name = peer.name
    this.bulkInFlight = peer.bulkInFlight
    this.#peer = peer
  }

  enqueue(): Promise<void> {
    return this.#peer.enqueue(this.#enqueued++)
  }

  enqueueBulk(): Promise<void> {
    const first = this.#enqueued
    this.#enqueued += BULK
    return this.#peer.enqueueBulk(first, BULK)
  }

  async expectHeld(): Promise<void> {
    const held = await this.#peer.held()
    if (held !== this.#enqueued) throw new Error(`${this.name} acknowledged ${this.#enqueued} jobs and holds ${held}`)
  }
}

function drainContender(peer: Peer): Contender {
  return {
    name: peer.name,
    async round(ms) {
      const jobs = Math.ceil(ms * peer.drainJobsPerMs)
      await peer.fill(jobs)
      const rate = await peer.drain(jobs, CONCURRENCY)
      const left = await peer.undrained()
      if (left !== 0) throw new Error(`${peer.name} ran all of ${jobs} jobs and still holds ${left}`)
      return { rate }
    },
  }
}
