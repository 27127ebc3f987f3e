import t from 'tap'
import { plantedTexts, ROOT } from './bug-hunt.js'
import { exhaust } from './exhaustion.js'
import { PLANTED_BUGS } from './planted-bugs.js'
import { simulate } from './simulation.js'

const SEEDS = 25

t.test(`${SEEDS} seeds: no invariant is violated, whatever crashes and fails`, async (t) => {
  let crashes = 0
  let jobs = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const result = await simulate(seed)
    crashes += result.crashes
    jobs += result.jobs
    t.same(result.violations, [], `seed ${seed}: replay it with npm run simulate -- --seed ${seed}`)
  }
  t.ok(crashes > SEEDS, 'the machines did crash')
  t.ok(jobs > SEEDS, 'and had jobs')
})

t.test('the same seed gives the same run, to every call to the disk, and another one another', async (t) => {
  for (const seed of [3, 4, 5]) {
    const lines: string[] = []
    const first = await simulate(seed, { print: (line) => lines.push(line) })
    const second = await simulate(seed)
    t.equal(second.digest, first.digest)
    t.same(second.history, first.history)
    t.ok(lines.some((line) => line.startsWith('  disk ')))
    t.not((await simulate(seed + 100)).digest, first.digest)
  }
})

t.test('case 4: a power cut after every call to the disk, and after every call of the recovery from it', async (t) => {
  const { places, nested, problem } = await exhaust(1, 4, 60)
  t.equal(problem, undefined)
  t.ok(places > 20)
  t.ok(nested > places)
})

// Whether they are found takes longer: `npm run simulate -- --bugs`.
for (const bug of PLANTED_BUGS) {
  t.test(`a bug can be planted: ${bug.name}`, async (t) => {
    t.equal(plantedTexts(bug, `${ROOT}/dist/persistence`).size, new Set(bug.changes.map(({ file }) => file)).size)
  })
}
