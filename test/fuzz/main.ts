/**
 * `npm run fuzz -- --frames 1000000 --seed 1`: mutated frames against a live server with real clients beside. Prints the
 * seed first, and ends with 1 when the server has crashed, a real client had a wrong answer, or memory grew.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Server } from '../support/server.js'
import { attack, CONFIGURATION } from './attack.js'

/** MiB that a server may grow by between a tenth and the end. */
const MOST_GROWTH = 80

const { values } = parseArgs({
  options: { frames: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)
console.log(`seed ${seed}`)
const folder = mkdtempSync(join(tmpdir(), 'offstage-fuzz-'))
const config = join(folder, 'offstage.yml')
writeFileSync(config, CONFIGURATION)
const server = await Server.start({
  data: join(folder, 'data'),
  args: ['--config', config],
  env: { OFFSTAGE_LOG_LEVEL: 'info' },
})
try {
  const report = await attack(server, Number(values.frames), seed)
  const { frames, connections, calls, p50, p99, before, after, seconds } = report
  console.log(`${frames} frames on ${connections} connections in ${seconds.toFixed(0)} s: no crash`)
  console.log(`real clients: ${calls} calls, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, all answers right`)
  console.log(`memory of the server: ${before.toFixed(0)} MiB after a tenth, ${after.toFixed(0)} MiB at the end`)
  if (after - before > MOST_GROWTH) throw new Error(`it grew by more than ${MOST_GROWTH} MiB`)
} catch (error) {
  console.error(error)
  console.error(`again: npm run fuzz -- --frames ${values.frames} --seed ${seed}`)
  process.exitCode = 1
} finally {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
