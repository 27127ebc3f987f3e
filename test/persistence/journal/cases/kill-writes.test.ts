/** Case 1 of docs/RELIABILITY.md. */
import t from 'tap'
import { killAtEach, WITH_STRACE } from '../kill-at.js'

t.setTimeout(WITH_STRACE.timeout)

t.test('case 1: a kill at every write leaves every acknowledged job', WITH_STRACE, async (t) => {
  t.ok((await killAtEach(t, 'pwritev')) >= 15)
  t.ok((await killAtEach(t, 'pwrite64')) >= 5)
})
