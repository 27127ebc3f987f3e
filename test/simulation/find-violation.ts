/** Runs seeds until one violates an invariant, for planted bugs: `node find-violation.js MOST`; prints JSON. */
import { simulate } from './simulation.js'

export interface Found {
  /** How many seeds were run. */
  readonly seeds: number
  /** The first violation of the last one; undefined: none of them has any. */
  readonly violation: { readonly seed: number; readonly invariant: string; readonly what: string } | undefined
}

const most = Number(process.argv[2])

async function find(): Promise<Found> {
  for (let seed = 1; seed <= most; seed++) {
    const [first] = (await simulate(seed)).violations
    if (first === undefined) continue
    return { seeds: seed, violation: { seed, invariant: first.invariant, what: first.what.split('\n', 1)[0]! } }
  }
  return { seeds: most, violation: undefined }
}

process.stdout.write(JSON.stringify(await find()))
