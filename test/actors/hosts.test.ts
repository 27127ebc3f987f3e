/** One contract for every kind of host. */
import t from 'tap'
import { type HostAbilities, hostContract } from '../contract/host.js'

const can = { skip: false } as const

const OWN: HostAbilities = { endsAlone: can, ownHeap: can, ownOutput: can, ownGlobals: can, ownEnvironment: can }

const INLINE: HostAbilities = {
  endsAlone: { skip: 'inline shares the thread of the supervisor, and ends or blocks with it' },
  ownHeap: { skip: "inline uses the supervisor's heap" },
  ownOutput: { skip: "inline writes to the supervisor's stdout and stderr" },
  ownGlobals: { skip: "inline shares the supervisor's globals" },
  ownEnvironment: { skip: "inline has the supervisor's environment" },
}

for (const [host, abilities] of [
  ['thread', OWN],
  ['process', OWN],
  ['inline', INLINE],
] as const) {
  t.test(`a worker in a host of kind ${host}`, (t) => hostContract(t, host, abilities))
}
