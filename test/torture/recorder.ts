/**
 * Puts a history together around a supervisor: what its clients asked and heard, when it was killed, and what its
 * workers wrote. All of it is ordered by the system's monotonic clock, which all processes share.
 */
import type { Answer, Call, HistoryEvent } from '../history/events.js'
import type { RunLine } from './run-log.js'

interface Stamped {
  readonly t: number
  readonly event: HistoryEvent
}

/** Ns of the monotonic clock. */
function now(): number {
  return Number(process.hrtime.bigint())
}

export class Recorder {
  readonly #events: Stamped[] = []
  #calls = 0
  /** Enqueues that were acknowledged as new. */
  created = 0

  invoke(what: Call): number {
    const call = ++this.#calls
    this.#add({ type: 'invoke', at: Date.now(), call, what })
    return call
  }

  ok(call: number, answer: Answer): void {
    if (answer.op === 'enqueue') for (const { created } of answer.jobs) if (created) this.created++
    this.#add({ type: 'ok', at: Date.now(), call, answer })
  }

  /** `executed` as the error says it: 'no' is certain, everything else is not. */
  failed(call: number, executed: string, why: string): void {
    this.#add({ type: executed === 'no' ? 'fail' : 'info', at: Date.now(), call, why })
  }

  /** The next process is about to be started. */
  opened(): void {
    this.#add({ type: 'open', at: Date.now() })
  }

  /** The process is dead. */
  crashed(): void {
    this.#add({ type: 'crash', at: Date.now(), power: false })
  }

  healed(): void {
    this.#add({ type: 'healed', at: Date.now() })
  }

  looked(jobs: Extract<HistoryEvent, { type: 'state' }>['jobs']): void {
    this.#add({ type: 'state', at: Date.now(), jobs })
  }

  /**
   * The history, with what the workers wrote. A method that returned or threw lets the supervisor finish or fail its
   * job, of whose success nobody outside hears: a call without an answer.
   */
  history(lines: readonly RunLine[]): HistoryEvent[] {
    const runs = lines.flatMap((line) => stampedRun(line))
    const all = [...this.#events.map((stamped) => ({ ...stamped, line: undefined })), ...runs].sort((a, b) => a.t - b.t)
    const history: HistoryEvent[] = []
    /** Calls of workers that no answer has come for, and those of them that a run waits for. */
    const unanswered = new Set<number>()
    const waiting = new Map<string, number>()
    let calls = this.#calls
    for (const { event, line } of all) {
      if (event !== undefined) history.push(event)
      if (event?.type === 'crash') {
        for (const call of unanswered)
          history.push({ type: 'info', at: event.at, call, why: 'the supervisor was killed' })
        unanswered.clear()
      }
      if (line === undefined) continue
      const { at, run, id, attempt } = line
      if (line.what === 'finished') {
        const call = waiting.get(run)
        if (call === undefined || !unanswered.delete(call)) continue
        history.push({ type: 'ok', at, call, answer: { op: 'finish', current: [line.current] } })
        continue
      }
      const what: Call =
        line.what === 'end' && line.outcome === 'threw'
          ? { op: 'fail', attempt: { id, attempt }, crashed: false }
          : { op: 'finish', attempts: [{ id, attempt }] }
      const call = ++calls
      history.push({ type: 'invoke', at, call, what })
      unanswered.add(call)
      waiting.set(run, call)
    }
    return history
  }

  #add(event: HistoryEvent): void {
    this.#events.push({ t: now(), event })
  }
}

/** The event of a line, and the line again when there is a call in it. */
function stampedRun(line: RunLine): { t: number; event: HistoryEvent | undefined; line: RunLine | undefined }[] {
  const { t, at, run, id, attempt } = line
  switch (line.what) {
    case 'start':
      return [{ t, event: { type: 'start', at, run, id, attempt, token: line.token }, line: undefined }]
    case 'end': {
      const asks = line.outcome === 'settled' ? undefined : line
      return [{ t, event: { type: 'end', at, run }, line: asks }]
    }
    default:
      return [{ t, event: undefined, line }]
  }
}
