/** Case 2 of docs/RELIABILITY.md. */
import t from 'tap'
import { killAtEach, WITH_STRACE } from '../kill-at.js'

t.setTimeout(WITH_STRACE.timeout)

t.test('case 2: a kill at every fdatasync leaves every acknowledged job', WITH_STRACE, async (t) => {
  t.ok((await killAtEach(t, 'fdatasync')) >= 20)
})
