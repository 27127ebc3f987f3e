/** The section `groups` of the configuration: workers that stand and fall together. */
import { z } from 'zod'
import { type GroupPlan, STRATEGIES } from '../actors/group.js'
import { ConfigurationError } from '../errors.js'
import type { WorkerOverrides } from './worker-overrides.js'

const groupSchema = z.strictObject({
  strategy: z.enum(STRATEGIES),
  workers: z.array(z.string().min(1)),
  max_restarts: z.int().min(0).max(1_000_000).optional(),
  restart_period: z.number().positive().optional(),
})

export const groupsSchema = z.record(z.string().min(1), groupSchema)

/** What is said about one group; `workers` in the order of their start, `restart_period` in seconds. */
export type GroupSettings = z.infer<typeof groupSchema>

/** As for a single worker. */
const MAX_RESTARTS = 5
const RESTART_PERIOD = 60

/** Throws a `ConfigurationError`, whose lines begin with `where`, for groups that cannot be as they are declared. */
export function readGroups(
  groups: Readonly<Record<string, GroupSettings>>,
  overrides: Readonly<Record<string, WorkerOverrides>>,
  where: string,
): GroupPlan[] {
  const problems: string[] = []
  const groupOf = new Map<string, string>()
  const plans = Object.entries(groups).map(([name, group]): GroupPlan => {
    const key = `${where}.${name}`
    if (group.workers.length === 0)
      problems.push(`${key}.workers is empty: name the workers in the order of their start`)
    for (const worker of group.workers) {
      const other = groupOf.get(worker)
      if (other === name) problems.push(`${key}.workers names ${worker} twice`)
      else if (other !== undefined) {
        problems.push(`${key}.workers names ${worker}, which is in the group ${other} already: it can be in one only`)
      }
      groupOf.set(worker, name)
      for (const setting of ['max_restarts', 'restart_period'] as const) {
        if (overrides[worker]?.[setting] === undefined) continue
        problems.push(`workers.${worker}.${setting} has no meaning in a group: write it at ${key}.${setting}`)
      }
    }
    const { strategy, workers, max_restarts = MAX_RESTARTS, restart_period = RESTART_PERIOD } = group
    return { name, strategy, workers, maxRestarts: max_restarts, restartPeriod: restart_period }
  })
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'))
  return plans
}
