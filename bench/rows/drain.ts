/** Draining a full queue of no-op jobs. */
import { alternate } from '../measure.js'
import { compare, type Result } from '../result.js'
import type { Context } from './context.js'
import { drainRow, OffstageDrain } from './offstage_drain.js'

const CONCURRENCIES = [1, 10, 100] as const

export async function drainRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const wanted = CONCURRENCIES.filter((concurrency) => selected(drainRow(concurrency)))
  if (wanted.length === 0) return []
  const ours = await OffstageDrain.start(`${folder}/drain`)
  const results: Result[] = []
  for (const concurrency of wanted) {
    const measured = await alternate([ours.contender(concurrency)], plan)
    results.push(compare(drainRow(concurrency), '/s', 'rate', measured))
  }
  await ours.close()
  return results
}
