/** `npm run simulate`: runs seeds, says what they found, and replays one. docs/SIMULATION.md explains the rest. */
import { parseArgs } from 'node:util'
import { describeEvent } from '../history/timeline.js'
import { huntBugs } from './bug-hunt.js'
import { exhaust } from './exhaustion.js'
import { type RunResult, simulate } from './simulation.js'

const USAGE = `usage: npm run simulate -- [--seeds N] [--from SEED]   run N seeds (default 100), from SEED on (default 1)
       npm run simulate -- --seed SEED                run one seed and print all of it
       npm run simulate -- --bugs                     plant bugs in the store, and find each
       npm run simulate -- --exhaustive [--subsets N] cut the power after every call to the disk of a short history and
                                                      of the recoveries from that, with N remains each (default 200)
`
const LAST_EVENTS = 40

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    exhaustive: { type: 'boolean', default: false },
    subsets: { type: 'string', default: '200' },
    bugs: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(USAGE)
else if (values.bugs) process.exitCode = huntBugs(say) ? 0 : 1
else if (values.exhaustive) await runExhaustion(number('from', values.from), number('subsets', values.subsets))
else if (values.seed !== undefined) await replay(number('seed', values.seed))
else await runSeeds(number('from', values.from), number('seeds', values.seeds))

async function replay(seed: number): Promise<void> {
  watch(seed)
  const result = await simulate(seed, { print: say })
  report(result)
}

async function runExhaustion(seed: number, subsets: number): Promise<void> {
  const started = performance.now()
  const { places, powerCuts, nested, problem } = await exhaust(seed, subsets)
  const seconds = (performance.now() - started) / 1000
  say(`${places} calls to the disk, ${powerCuts} power cuts, ${nested} of them in recovery, in ${seconds.toFixed(1)} s`)
  if (problem === undefined) return
  process.exitCode = 1
  say(`${problem}\nreplay it with: npm run simulate -- --exhaustive --subsets ${subsets} --from ${seed}`)
}

async function runSeeds(from: number, seeds: number): Promise<void> {
  const started = performance.now()
  const total = { seeds: 0, crashes: 0, powerCuts: 0, opens: 0, jobs: 0, calls: 0, diskCalls: 0 }
  for (let seed = from; seed < from + seeds; seed++) {
    watch(seed)
    const result = await simulate(seed)
    total.seeds++
    for (const key of ['crashes', 'powerCuts', 'opens', 'jobs', 'calls', 'diskCalls'] as const)
      total[key] += result[key]
    if (result.violations.length > 0) {
      report(result)
      break
    }
    if (total.seeds % 1000 === 0) process.stderr.write(`${total.seeds} seeds, ${total.crashes} crashes so far\n`)
  }
  const seconds = (performance.now() - started) / 1000
  say(
    `${total.seeds} seeds from ${from}: ${total.crashes} crashes (${total.powerCuts} power cuts), ${total.opens} openings, ${total.jobs} jobs, ${total.calls} calls, ${total.diskCalls} calls to the disk, in ${seconds.toFixed(1)} s`,
  )
}

function report({ seed, violations, history }: RunResult): void {
  if (violations.length === 0) {
    say(`seed ${seed}: no invariant is violated`)
    return
  }
  process.exitCode = 1
  const shown = new Set<number>()
  say(`seed ${seed} violates ${violations.length === 1 ? 'an invariant' : `${violations.length} times an invariant`}:`)
  for (const { invariant, what, events } of violations.slice(0, 10)) {
    say(`  ${invariant}: ${what} (events ${events.join(', ')})`)
    for (const index of events) shown.add(index)
  }
  for (let index = Math.max(0, history.length - LAST_EVENTS); index < history.length; index++) shown.add(index)
  say('the events concerned, and the last ones:')
  for (const index of [...shown].sort((a, b) => a - b)) {
    const event = history[index]
    if (event !== undefined) say(`  ${describeEvent(index, event)}`)
  }
  say(`replay it with: npm run simulate -- --seed ${seed}`)
}

/** Node's exit code when nothing is left to happen and something is still awaited. */
const UNSETTLED = 13

/** What no invariant sees: an exception that nobody catches, or a call that nobody answers. */
function watch(seed: number): void {
  const replay = `replay it with: npm run simulate -- --seed ${seed}`
  process.removeAllListeners('uncaughtExceptionMonitor').removeAllListeners('exit')
  process.on('uncaughtExceptionMonitor', () => say(`seed ${seed} threw; ${replay}`))
  process.on('exit', (code) => {
    if (code === UNSETTLED) say(`seed ${seed} waits for ever, for the store to open or to close; ${replay}`)
  })
}

function number(name: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  process.stderr.write(`--${name} ${text} is no whole number\n${USAGE}`)
  process.exit(64)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
