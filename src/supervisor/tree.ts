/**
 * The supervision tree: which instances stand on their own, and which belong to a group. Groups and single instances are
 * started, and stopped, beside each other; the order within a group is the group's.
 */
import type { WorkerDescription } from '../actors/description.js'
import { Group, type GroupPlan, type Member } from '../actors/group.js'

export class Tree {
  readonly groups: readonly Group[]
  readonly #groupOf = new Map<string, Group>()

  /** `find` gives the instance without a key, which is the one that belongs to a group. */
  constructor(plans: readonly GroupPlan[], find: (worker: string) => Member | undefined) {
    this.groups = plans.map((plan) => new Group({ plan, find }))
    for (const group of this.groups) {
      for (const worker of group.plan.workers) this.#groupOf.set(worker, group)
    }
  }

  /** Of the instance of a worker that has no key; others are in none. */
  groupOf(worker: string): Group | undefined {
    return this.#groupOf.get(worker)
  }

  /** What is wrong with the groups, seen from the workers that there are; `unknown` says of a name which there are. */
  problems(
    known: ReadonlyMap<string, { description: WorkerDescription }>,
    unknown: (worker: string) => string,
  ): string[] {
    return [...this.#groupOf].flatMap(([worker, { plan }]) => {
      const found = known.get(worker)
      const where = `groups.${plan.name}.workers in the configuration names`
      if (found === undefined) return [`${where} ${unknown(worker)}`]
      if (!found.description.autoLoad)
        return [`${where} ${worker}, which is not started with the supervisor (noAutoLoad)`]
      return []
    })
  }
}
