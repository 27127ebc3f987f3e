/**
 * `npm run bench:peers`: ours beside other job queues that run here with durability on, in the same run. What is
 * missing of them is fetched into build/peers; each gets a server of its own on loopback for the time of the run.
 *
 *   --quick, --only, --json, --folder   as for `npm run bench`
 *   --allow-missing                     a peer that cannot be had is skipped and the status stays 0
 *
 * Status 0 when everything that came back was right, whatever the figures; 1 when something was wrong or missing.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Plan } from '../measure.js'
import { OPTIONS, openRun } from '../run.js'
import { Beanstalkd } from './beanstalkd.js'
import { BullMq } from './bullmq.js'
import { stopDaemons } from './daemon.js'
import { Graphile } from './graphile.js'
import { peerLatenessRows } from './lateness.js'
import type { Peer } from './peer.js'
import { peerDrainRow, peerEnqueueRows } from './rows.js'

const FULL: Plan = { warmUpMs: 1000, roundMs: 700, rounds: 5 }
const QUICK: Plan = { warmUpMs: 100, roundMs: 100, rounds: 3 }
/** Of the lateness rows: a job each 5 ms. */
const LATENESS: Plan = { warmUpMs: 1000, roundMs: 10_000, rounds: 3 }
const QUICK_LATENESS: Plan = { warmUpMs: 250, roundMs: 3000, rounds: 1 }
const INSTALLED = path.resolve('build/peers')
const PEERS = { BullMQ: BullMq, beanstalkd: Beanstalkd, 'graphile-worker': Graphile } as const

const { values } = parseArgs({ options: { ...OPTIONS, 'allow-missing': { type: 'boolean', default: false } } })

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => stopDaemons().finally(() => process.exit(status)))
}

const run = openRun(values, values.quick ? QUICK : FULL)
const { folder } = run.context
// PostgreSQL may have to run as another user, who must get to its data folder.
chmodSync(folder, 0o711)
const peers: Peer[] = []
const skipped: string[] = []
const about: string[] = []
try {
  for (const [name, { start }] of Object.entries(PEERS)) {
    try {
      const data = path.join(folder, name)
      mkdirSync(data)
      peers.push(await start({ installed: INSTALLED, data }))
    } catch (error) {
      skipped.push(name)
      about.push(`${name} skipped: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  for (const peer of peers) about.push(await peer.describe())
  const results = [
    ...(await peerEnqueueRows(run.context, peers)),
    ...(await peerDrainRow(run.context, peers)),
    ...(await peerLatenessRows(run.context, values.quick ? QUICK_LATENESS : LATENESS, peers)),
  ]
  run.finish(
    results.map((result) => ({ ...result, skipped })),
    about,
  )
  for (const peer of peers.splice(0)) await peer.stop()
} finally {
  await stopDaemons()
}
process.exit(skipped.length > 0 && !values['allow-missing'] ? 1 : 0)
