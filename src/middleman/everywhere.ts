/** One call to every server, and what its outcomes come to. */
import { NoServerAvailable, type OffstageError, PartialFailure } from '../errors.js'
import { type Call, HARMLESS } from './call.js'
import type { Link } from './link.js'
import type { Route } from './route.js'

export interface Outcome {
  /** Address of the server. */
  readonly server: string
  readonly value?: unknown
  readonly error?: OffstageError
}

/**
 * Sends the calls that `make` gives to every server that is up, and resolves to their outcomes, in the order of the
 * servers. Waits for servers only when none is up; rejects with `NoServerAvailable` when none comes. `onValue` hears of values at once.
 */
export async function everywhere(
  route: Route,
  make: () => Call,
  onValue?: (value: unknown) => void,
): Promise<Outcome[]> {
  // What was written in one turn stays in its order: nothing is awaited without need.
  const known = route.known(make)
  if (known !== undefined) await known
  const open = route.links.filter((link) => link.open)
  return broadcast(route, open.length > 0 ? open : route.links, make, onValue)
}

/** The same, to some of the servers. */
export async function broadcast(
  route: Route,
  links: readonly Link[],
  make: () => Call,
  onValue?: (value: unknown) => void,
): Promise<Outcome[]> {
  // What is wrong with the options is thrown before any is sent.
  const calls = links.map((link) => {
    const call = make()
    call.to = link
    call.patient = route.links.length === 1 || !link.open
    return call
  })
  const outcomes = await Promise.all(
    calls.map(async (call): Promise<Outcome> => {
      const server = call.to!.address.text
      try {
        const value = await route.call(call)
        onValue?.(value)
        return { server, value }
      } catch (error) {
        return { server, error: error as OffstageError }
      }
    }),
  )
  const reached = outcomes.filter(({ error }, i) => !isDown(calls[i]!, error))
  if (reached.length > 0 || outcomes.length === 0) return reached
  if (outcomes.length === 1) throw outcomes[0]!.error
  throw route.unavailable(calls[0]!.title)
}

/** The values, when all are there; else rejects with the error, or a `PartialFailure` where it was not the same everywhere. */
export function valuesOf(outcomes: readonly Outcome[], title: string): unknown[] {
  const failed = outcomes.filter(({ error }) => error !== undefined)
  if (failed.length === 0) return outcomes.map(({ value }) => value)
  const { code, executed } = failed[0]!.error!
  const same = failed.every(({ error }) => error!.code === code && error!.executed === executed)
  if (same && failed.length === outcomes.length) throw failed[0]!.error
  throw partialFailure(outcomes, failed, title)
}

const NOT_THERE = new Set(['NO_WORKER', 'NO_SCHEDULE'])

/** Without the servers that do not have the worker, its instance or the schedule, unless that is all of them. */
export function whereItIs(outcomes: readonly Outcome[]): readonly Outcome[] {
  const there = outcomes.filter(({ error }) => error === undefined || !NOT_THERE.has(error.code))
  return there.length > 0 ? there : outcomes
}

/** It was down before the call reached it, so it is as one that was down all the time. */
function isDown(call: Call, error: OffstageError | undefined): boolean {
  return error instanceof NoServerAvailable && (error.executed === 'no' || HARMLESS.has(call.verb))
}

function partialFailure(outcomes: readonly Outcome[], failed: readonly Outcome[], title: string): PartialFailure {
  const executed = new Set(outcomes.map(({ error }) => error?.executed ?? 'yes'))
  const reasons = failed.map(({ server, error }) => `${server}: ${error!.message}`).join('; ')
  return new PartialFailure(`${title} failed on ${failed.length} of ${outcomes.length} servers: ${reasons}`, {
    executed: executed.size === 1 ? [...executed][0]! : 'maybe',
    cause: failed[0]!.error,
    details: {
      servers: Object.fromEntries(
        outcomes.map(({ server, error }) => [
          server,
          error === undefined ? null : { code: error.code, message: error.message, executed: error.executed },
        ]),
      ),
    },
  })
}
