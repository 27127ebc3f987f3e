/** Scheduled jobs: how late they start, beside the peers and beside bare timers. */
import { bareTimers, latenessContender } from '../lateness.js'
import { alternate, type Contender, type Measured, type Plan } from '../measure.js'
import { compare, type Result } from '../result.js'
import type { Context } from '../rows/context.js'
import { OffstageLateness } from '../rows/offstage_lateness.js'
import type { Peer } from './peer.js'

const MEDIAN = 'lateness of scheduled jobs, median'
const P99 = 'lateness of scheduled jobs, p99'

export async function peerLatenessRows(context: Context, plan: Plan, peers: readonly Peer[]): Promise<Result[]> {
  const { folder, selected } = context
  if (![MEDIAN, P99].some(selected)) return []
  const ours = await OffstageLateness.start(`${folder}/lateness`)
  const timers = latenessContender('bare timers', bareTimers)
  const measured = await alternate([ours.contender(), ...peers.map(contender), timers], plan)
  await ours.close()
  const results: Result[] = [
    {
      ...compare(MEDIAN, 'ms', 'median', measured),
      note: `rounds (${plan.rounds}) of ${plan.roundMs / 1000} s, a job each 5 ms on average, by a clock of whole ms; most that started early: ${each(measured, 'early')}`,
    },
    { ...compare(P99, 'ms', 'p99', measured), note: `the latest, in ms: ${each(measured, 'max')}` },
  ]
  return results.filter(({ row }) => selected(row))
}

function contender(peer: Peer): Contender {
  return latenessContender(peer.name, async (due, lead) => {
    const observed = await peer.runScheduled(due, lead)
    const left = await peer.undrained()
    if (left !== 0) throw new Error(`${peer.name} ran all of ${due.length} scheduled jobs and still holds ${left}`)
    return observed
  })
}

/** The largest of all rounds. */
function each(measured: Measured, figure: string): string {
  return [...measured].map(([name, figures]) => `${name} ${Math.floor(figures.get(figure)!.max)}`).join(', ')
}
