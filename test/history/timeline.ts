/** A history in the form in which the invariants look at it: each call with its answer, jobs by id and token. */
import type { Answer, Call, History, HistoryEvent, WantedJob } from './events.js'

export interface CallRecord {
  readonly call: number
  readonly what: Call
  /** Index of its `invoke`. */
  readonly invoked: number
  readonly at: number
  /** Index of the event that ended it; infinite when there is none. */
  ended: number
  endedAt: number
  outcome: 'ok' | 'fail' | 'info'
  answer: Answer | undefined
}

export interface Timeline {
  readonly history: History
  readonly calls: readonly CallRecord[]
  readonly byNumber: ReadonlyMap<number, CallRecord>
  /** By token: what was asked for, and by which call. */
  readonly wanted: ReadonlyMap<string, { readonly job: WantedJob; readonly call: CallRecord; readonly index: number }>
  /** Ids that an enqueue was told, with `created`, by the token of the request. */
  readonly created: ReadonlyMap<number, { readonly token: string; readonly call: CallRecord }>
}

export interface Violation {
  readonly invariant: string
  /** Names jobs by key and id. */
  readonly what: string
  /** Indexes into the history, in order. */
  readonly events: readonly number[]
}

/** Throws for a list of events that is no history. */
export function readTimeline(history: History): Timeline {
  const byNumber = new Map<number, CallRecord>()
  const wanted = new Map<string, { job: WantedJob; call: CallRecord; index: number }>()
  const created = new Map<number, { token: string; call: CallRecord }>()
  for (const [index, event] of history.entries()) {
    if (event.type === 'invoke') invoke(index, event)
    else if (event.type === 'ok' || event.type === 'fail' || event.type === 'info') end(index, event)
  }
  return { history, calls: [...byNumber.values()], byNumber, wanted, created }

  function invoke(index: number, { call, what, at }: Extract<HistoryEvent, { type: 'invoke' }>): void {
    if (byNumber.has(call)) throw new Error(`event ${index} invokes call ${call} a second time`)
    const record: CallRecord = {
      call,
      what,
      invoked: index,
      at,
      ended: Number.POSITIVE_INFINITY,
      endedAt: Number.POSITIVE_INFINITY,
      outcome: 'info',
      answer: undefined,
    }
    byNumber.set(call, record)
    if (what.op !== 'enqueue') return
    for (const [position, job] of what.jobs.entries()) {
      if (wanted.has(job.token)) throw new Error(`event ${index} uses the token ${job.token} a second time`)
      wanted.set(job.token, { job, call: record, index: position })
    }
  }

  function end(index: number, event: Extract<HistoryEvent, { type: 'ok' | 'fail' | 'info' }>): void {
    const record = byNumber.get(event.call)
    if (record === undefined || record.ended !== Number.POSITIVE_INFINITY) {
      throw new Error(`event ${index} ends call ${event.call}, which is not in flight`)
    }
    record.ended = index
    record.endedAt = event.at
    record.outcome = event.type
    if (event.type !== 'ok') return
    if (event.answer.op !== record.what.op) throw new Error(`event ${index} answers another kind of call`)
    record.answer = event.answer
    if (record.what.op !== 'enqueue' || event.answer.op !== 'enqueue') return
    for (const [position, answer] of event.answer.jobs.entries()) {
      if (answer.created) created.set(answer.id, { token: record.what.jobs[position]!.token, call: record })
    }
  }
}

/** `event 12 ok: {...}` for people. */
export function describeEvent(index: number, event: HistoryEvent): string {
  const { type, at, ...rest } = event
  return `event ${index} at ${at} ${type} ${JSON.stringify(rest)}`
}
