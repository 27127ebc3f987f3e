/** What a soak has to come to. */
import type { SoakResult } from './soak.js'

/** ms. */
const LATEST = 50
/** MiB: heaps of threads that happen to be full or empty, and what the allocator keeps. */
const GROWTH = 64

export interface Check {
  readonly what: string
  readonly found: string
  readonly ok: boolean
  /** It depends on the machine, and on what else that has to do. */
  readonly speed?: true
}

export function checks({ calls, jobs, crashes, notRunning, delays, idle, memory }: SoakResult): Check[] {
  const rejected = Object.entries(calls.rejected).map(([code, count]) => `${count} ${code}`)
  const grown = memory.end - memory.quarter
  return [
    { what: 'workers crashed', found: `${crashes} times`, ok: crashes > 0 },
    {
      what: 'every call was answered or rejected',
      found: `${calls.answered} answered, ${rejected.join(', ')}, ${calls.open} open`,
      ok: calls.open === 0 && calls.answered > 0,
    },
    {
      what: 'every job has finished or is dead',
      found:
        `${jobs.enqueued} enqueued, ${jobs.finished} finished, ${jobs.dead} dead` +
        (jobs.stranded.length === 0 ? '' : `, neither: ${jobs.stranded.slice(0, 10).join(', ')}`),
      ok: jobs.stranded.length === 0 && jobs.finished > 0,
    },
    {
      what: 'every worker runs again',
      found: notRunning.length === 0 ? 'all' : `but for ${notRunning.join(', ')}`,
      ok: notRunning.length === 0,
    },
    {
      what: `memory grew by less than ${GROWTH} MiB after a quarter of the time`,
      found: `${memory.quarter.toFixed(1)} MiB, then ${memory.end.toFixed(1)} MiB`,
      ok: grown < GROWTH,
    },
    {
      what: `the server's event loop is less than ${LATEST} ms late, 99 times of 100`,
      found:
        `p99 ${delays.p99.toFixed(1)} ms, at most ${delays.max.toFixed(1)} ms; ` +
        `a process without work beside it ${idle.p99.toFixed(1)} ms, ${idle.max.toFixed(1)} ms`,
      ok: delays.p99 < LATEST,
      speed: true,
    },
  ]
}
