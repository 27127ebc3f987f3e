/** Durable enqueues, beside the fdatasync loop and the bare prototype, in the same folder. */
import { fdatasyncLoop } from '../floors/fdatasync.js'
import { alternate } from '../measure.js'
import { compare, type Result } from '../result.js'
import type { Context } from './context.js'
import { BULK_ROW, IN_FLIGHT, inBulk, inFlightRow, singly } from './enqueuer.js'
import { OffstageEnqueuer } from './offstage_enqueuer.js'
import { PrototypeEnqueuer } from './prototype_enqueuer.js'

export async function enqueueRows({ folder, plan, selected }: Context): Promise<Result[]> {
  const lanesSelected = IN_FLIGHT.filter((lanes) => selected(inFlightRow(lanes)))
  if (lanesSelected.length === 0 && !selected(BULK_ROW)) return []

  const ours = await OffstageEnqueuer.start(`${folder}/enqueue`)
  const prototype = await PrototypeEnqueuer.start(`${folder}/prototype`)
  const hopless = await PrototypeEnqueuer.start(`${folder}/hopless`, true)
  const loop = fdatasyncLoop(`${folder}/fdatasync`)

  const results: Result[] = []
  for (const lanes of lanesSelected) {
    const alone = lanes === 1 ? [loop, singly(hopless, lanes)] : []
    const contenders = [singly(ours, lanes), ...alone, singly(prototype, lanes)]
    results.push(compare(inFlightRow(lanes), '/s', 'rate', await alternate(contenders, plan)))
  }
  if (selected(BULK_ROW)) {
    results.push(compare(BULK_ROW, '/s', 'rate', await alternate([inBulk(ours), inBulk(prototype)], plan)))
  }

  loop.close()
  await prototype.close()
  await hopless.close()
  await ours.close()
  return results
}
