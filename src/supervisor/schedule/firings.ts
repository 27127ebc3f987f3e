/**
 * When schedules have fired last, and which are paused, beside the journal: what a start needs in order to know what was
 * missed.
 */
import { ConfigurationError } from '../../errors.js'
import { DurableMap } from '../durable-map.js'
import type { Target } from './plan.js'

interface Firing {
  /** Milliseconds since 1970: when it fired; of one with `queued`, the time of its newest job. */
  readonly at?: number | undefined
  /** Whose job it is. */
  readonly queued?: Target | undefined
  readonly paused?: boolean | undefined
}

export type Firings = DurableMap<Firing>

/** Throws a `ConfigurationError` when the file is there and cannot be read. */
export function openFirings(file: string): Firings {
  try {
    return new DurableMap<Firing>(
      file,
      (firing) => Number.isFinite(firing?.at) || (firing?.at === undefined && firing?.paused === true),
    )
  } catch (cause) {
    throw new ConfigurationError(
      `${file}, which tells when schedules have fired last, cannot be read: ${(cause as Error).message}; without that ` +
        'file the supervisor starts, and takes nothing as missed',
      { cause },
    )
  }
}

/** What is undefined goes. Resolves when it is durable. */
export function changeFiring(firings: Firings, name: string, change: Firing): Promise<void> {
  const facts = Object.entries({ ...firings.get(name), ...change }).filter(([, fact]) => fact !== undefined)
  return firings.set(name, facts.length === 0 ? undefined : (Object.fromEntries(facts) as Firing))
}
