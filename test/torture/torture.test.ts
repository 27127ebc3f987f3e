import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import t from 'tap'
import { checkFromOutside } from '../history/checker.js'
import type { HistoryEvent } from '../history/events.js'
import { summary } from './summary.js'
import { torture } from './torture.js'

t.setTimeout(280_000)

function invariants(history: readonly HistoryEvent[]): string[] {
  return [...new Set(checkFromOutside(history).map(({ invariant }) => invariant))]
}

t.test('kill -9 under load, a few seconds of it: no invariant is violated', { timeout: 280_000 }, async (t) => {
  // Not `t.testdir()`: a journal belongs on a disk.
  const folder = mkdtempSync(`${tmpdir()}/offstage-torture-`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const started = performance.now()
  const result = await torture({ folder, seconds: 6, killEvery: 200, jobs: 300 })
  for (const line of summary(result, (performance.now() - started) / 1000)) t.comment(line)
  t.same(result.violations, [])
  t.ok(result.kills.working >= 1)
  t.ok(result.jobs > 0)

  const { history } = result
  const last = history.at(-1)
  if (last?.type !== 'state') throw new Error('the history does not end with a look at the jobs')
  const start = startOfDone(history, new Set(last.jobs.map(({ id }) => id)))
  t.ok(start)

  t.test('and each of them would be noticed', async (t) => {
    const ends = new Set<number>()
    for (const event of history) {
      if (event.type !== 'invoke' || event.what.op !== 'finish') continue
      if (event.what.attempts[0]?.id === start!.id) ends.add(event.call)
    }
    const lost = history.filter((event) =>
      event.type === 'start' ? event.id !== start!.id : !('call' in event && ends.has(event.call)),
    )
    t.same(invariants(lost), ['no loss'], 'a job that was acknowledged and never ran')
    const after = history.indexOf(start!) + 1
    const again = { ...start!, run: 'another' }
    t.same(invariants(history.toSpliced(after, 0, again)), ['bounded repeats', 'no overlap'])
    t.same(invariants(history.toSpliced(after, 0, { ...again, id: 9e9, token: 'unknown' })), ['no invention'])
    const early = history.map((event) => (event === start ? { ...event, at: -1 } : event))
    t.same(invariants(early), ['not early'])
  })
})

/** The start of a job of which a client heard that it was stored, and that is not there any more in the end. */
function startOfDone(history: readonly HistoryEvent[], left: ReadonlySet<number>) {
  const starts = history.filter((event) => event.type === 'start')
  const acknowledged = new Set<number>()
  for (const event of history) {
    if (event.type !== 'ok' || event.answer.op !== 'enqueue') continue
    for (const { id, created } of event.answer.jobs) if (created) acknowledged.add(id)
  }
  return starts.find(({ id }) => acknowledged.has(id) && !left.has(id))
}
