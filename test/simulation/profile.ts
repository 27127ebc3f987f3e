/**
 * What kind of run a seed makes: how often what happens, drawn anew for each seed, so that some have many crashes
 * and few keys and others a full disk and large arguments. An average of everything would find less.
 */

import type { Prng } from './prng.js'
import type { CrashMoment, CrashPlan } from './simulated-disk.js'

const ACTIONS = {
  enqueue: 10,
  bulk: 3,
  dequeue: 2,
  claim: 8,
  begin: 5,
  finish: 6,
  fail: 3,
  release: 3,
  settleStale: 2,
  settleInvented: 1,
  sweep: 1,
  wait: 3,
  turn: 12,
  close: 0.4,
  crash: 0.6,
  fill: 0.3,
  breakDisk: 0.2,
} as const

export type Action = keyof typeof ACTIONS

export interface Profile {
  readonly weights: Record<Action, number>
  readonly steps: number
  readonly keys: number
  readonly queues: number
  readonly segmentBytes: number
  /** Room for a full disk. */
  readonly reserveBytes: number
  /** Of jobs in memory; what is not there is read from the disk. */
  readonly cacheBytes: number
  /** Sealed segments get an index. */
  readonly indexed: boolean
  readonly largestArgument: number
  /** How often a life is planned to end at one of its calls to the disk. */
  readonly planned: number
  /** Within so many calls. */
  readonly horizon: number
  /** How many crashes cut the power. */
  readonly power: number
  readonly shortWrites: number
  /** How often there are more calls while the disk is busy with a sync. */
  readonly meanwhile: number
  /** How often a bit changes by itself while the store is closed. */
  readonly rot: number
}

export function drawProfile(random: Prng): Profile {
  const weights = { ...ACTIONS } as Record<Action, number>
  // Swarm testing: some actions are left out, others come often.
  for (const action of Object.keys(ACTIONS) as Action[]) {
    const factor = random.pick([0.2, 1, 1, 1, 3])
    weights[action] *= random.chance(0.06) ? 0 : factor
  }
  weights.enqueue = Math.max(weights.enqueue, 2)
  weights.turn = Math.max(weights.turn, 3)
  return {
    weights,
    steps: random.pick([60, 120, 200, 300]),
    keys: random.pick([3, 8, 40]),
    queues: random.pick([1, 2, 3]),
    segmentBytes: random.pick([1024, 2048, 4096, 16_384]),
    reserveBytes: random.pick([0, 1024, 8192]),
    indexed: random.chance(0.5),
    cacheBytes: random.pick([0, 2048, 1_000_000]),
    largestArgument: random.pick([0, 40, 600, 4096]),
    planned: random.pick([0, 0.3, 0.7, 0.95]),
    horizon: random.pick([8, 30, 100, 300]),
    power: random.pick([0, 0.5, 1, 1]),
    shortWrites: random.pick([0, 0, 0.1, 0.5]),
    meanwhile: random.pick([0, 0.1, 0.5]),
    rot: random.pick([0, 0, 0.2, 0.6]),
  }
}

/** Often at one of the calls that are rare and that much depends on. */
export function drawCrash(random: Prng, { horizon }: Profile): CrashPlan {
  const moment: CrashMoment = random.pick(['before', 'during', 'after'])
  if (random.chance(0.6)) return { kind: undefined, after: random.int(horizon), moment }
  return { kind: random.pick(['create', 'rename', 'remove', 'syncFolder', 'truncate']), after: random.int(6), moment }
}
