/** The mailbox by itself: order, window, crashes, and a long random run against a simple model. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { NO_PROGRESS, type Progress } from '#offstage/actors/gauge.js'
import { Mailbox } from '#offstage/actors/mailbox.js'
import type { ReplySink } from '#offstage/actors/reply.js'
import { WorkerStopped } from '#offstage/errors.js'
import { decodeFailure } from '#offstage/wire/failure.js'
import { callBody } from './support.js'

const BODY = callBody('work')

function progress(taken: number, more: Partial<Progress> = {}): Progress {
  return { ...NO_PROGRESS, taken, ...more }
}

function recorder() {
  const outcomes = new Map<number, string>()
  const settle = (tag: number, outcome: string) => {
    if (outcomes.has(tag)) throw new Error(`message ${tag} has two outcomes: ${outcomes.get(tag)} and ${outcome}`)
    outcomes.set(tag, outcome)
  }
  const sink: ReplySink = {
    result: (tag) => settle(tag, 'result'),
    failed: (tag, bytes, start, end) => {
      const { code, executed } = decodeFailure(bytes.subarray(start, end))
      settle(tag, `${code} ${executed}`)
    },
    settle: (_tag, _how, done) => done(true),
  }
  return { sink, outcomes }
}

t.test('sends in order within a window of 1024 messages and 1 MiB, and one message however big', async (t) => {
  const { sink } = recorder()
  const many = new Mailbox(5000)
  for (let i = 0; i < 3000; i++) many.add(BODY, 0, sink, i)
  const tags: number[] = []
  for (let m = many.send(); m !== undefined; m = many.send()) tags.push(m.tag)
  t.same(
    tags,
    Array.from({ length: 1024 }, (_, i) => i),
  )
  t.equal(many.inFlight, 1024)

  const big = new Mailbox(10)
  for (let i = 0; i < 5; i++) big.add(Buffer.alloc(400_000), 0, sink, i)
  let sent = 0
  while (big.send() !== undefined) sent++
  t.equal(sent, 2)

  const huge = new Mailbox(10)
  huge.add(Buffer.alloc(5_000_000), 0, sink, 1)
  huge.add(BODY, 0, sink, 2)
  t.equal(huge.send()?.tag, 1)
  t.equal(huge.send(), undefined)
})

t.test('an id of a message that is over does not fit the one that uses its place', async (t) => {
  const { sink, outcomes } = recorder()
  const mailbox = new Mailbox(10)
  const first = mailbox.add(BODY, 0, sink, 1)
  mailbox.result(mailbox.send()!.index, BODY, 0, 0)
  const second = mailbox.add(BODY, 0, sink, 2)
  t.not(first, second)
  t.equal(mailbox.cancel(first), undefined)
  t.equal(mailbox.size, 1)
  mailbox.cancel(second)
  t.same(
    [...outcomes],
    [
      [1, 'result'],
      [2, 'CANCELLED no'],
    ],
  )
  t.equal(mailbox.cancel(77), undefined)
})

t.test('answers of the host to messages that are over are ignored', async (t) => {
  const { sink, outcomes } = recorder()
  const mailbox = new Mailbox(10)
  mailbox.add(BODY, 0, sink, 1)
  const { index } = mailbox.send()!
  mailbox.result(index, BODY, 0, 0)
  mailbox.result(index, BODY, 0, 0)
  mailbox.failed(index, BODY, 0, 0)
  mailbox.ended(index)
  mailbox.result(99, BODY, 0, 0)
  t.equal(outcomes.size, 1)
  t.equal(mailbox.size, 0)
  t.equal(mailbox.inFlight, 0)
})

t.test('a caller that was answered at its deadline holds its place until the turn has ended', async (t) => {
  const { sink, outcomes } = recorder()
  const mailbox = new Mailbox(10)
  mailbox.add(BODY, 100, sink, 1)
  mailbox.add(BODY, 100, sink, 2)
  mailbox.add(BODY, 100, sink, 3)
  const [first, second] = [mailbox.send()!, mailbox.send()!]
  const told: number[] = []
  t.equal(mailbox.earliestDeadline, 100)
  mailbox.expire(99, progress(1), (index) => told.push(index))
  t.same(told, [])
  mailbox.expire(101, progress(1), (index) => told.push(index))
  t.same(told, [first.index, second.index], 'the host is told of both')
  t.same([...outcomes].sort(), [
    [1, 'DEADLINE_EXCEEDED maybe'],
    [2, 'DEADLINE_EXCEEDED no'],
    [3, 'DEADLINE_EXCEEDED no'],
  ])
  t.equal(mailbox.earliestDeadline, Number.POSITIVE_INFINITY)
  mailbox.result(first.index, BODY, 0, 0)
  t.equal(mailbox.size, 1)
  mailbox.failed(second.index, BODY, 0, 0)
  t.equal(mailbox.size, 0)
  t.equal(outcomes.size, 3)
})

t.test('a sink may send again from inside an answer', async (t) => {
  const mailbox = new Mailbox(1)
  let rounds = 0
  const sink: ReplySink = {
    result: () => {
      if (++rounds < 100) mailbox.add(BODY, 0, sink, rounds)
    },
    failed: () => t.fail('nothing failed'),
    settle: () => undefined,
  }
  mailbox.add(BODY, 0, sink, 0)
  for (let m = mailbox.send(); m !== undefined; m = mailbox.send()) mailbox.result(m.index, BODY, 0, 0)
  t.equal(rounds, 100)
})

type Step =
  | { kind: 'add'; deadline: boolean }
  | { kind: 'send' | 'take' | 'crash' | 'expire' }
  | { kind: 'cancel' | 'finish'; which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), deadline: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('crash' as const, 'expire' as const) }) },
)

/** What a correct mailbox, host and caller know of a message. */
interface Known {
  readonly tag: number
  readonly id: number
  /** Infinity for none. */
  readonly deadline: number
  index: number
  place: 'waiting' | 'sent' | 'taken' | 'over'
}

const LIMIT = 20

/** Runs the steps; throws where the mailbox does something else than the model. */
function follow(steps: readonly Step[]): void {
  const { sink, outcomes } = recorder()
  const mailbox = new Mailbox(LIMIT)
  let all: Known[] = []
  const ran: number[] = []
  let taken = 0
  let now = 1
  let tags = 0
  const at = (place: Known['place']) => all.filter((known) => known.place === place)
  const expect = (known: Known, outcome: string | undefined) =>
    assert.equal(outcomes.get(known.tag), outcome, `outcome of message ${known.tag}`)

  for (const s of steps) {
    if (s.kind === 'add') {
      const tag = tags++
      const deadline = s.deadline ? now + 2 : Number.POSITIVE_INFINITY
      if (all.length >= LIMIT) {
        assert.throws(() => mailbox.add(BODY, 0, sink, tag), { code: 'OVERLOADED' })
        outcomes.set(tag, 'refused')
      } else {
        const id = mailbox.add(BODY, s.deadline ? deadline : 0, sink, tag)
        all.push({ tag, id, deadline, index: -1, place: 'waiting' })
      }
    } else if (s.kind === 'send') {
      const message = mailbox.send()
      const first = at('waiting')[0]
      assert.equal(message?.tag, first?.tag)
      if (first !== undefined) Object.assign(first, { place: 'sent', index: message!.index })
    } else if (s.kind === 'take') {
      const next = at('sent')[0]
      if (next !== undefined) {
        taken++
        if (outcomes.has(next.tag)) {
          // The host sees that it is too late and says so; the caller has heard.
          mailbox.failed(next.index, BODY, 0, 0)
          next.place = 'over'
        } else {
          ran.push(next.tag)
          next.place = 'taken'
        }
      }
    } else if (s.kind === 'finish') {
      const busy = at('taken')
      const one = busy[s.which % Math.max(1, busy.length)]
      if (one !== undefined) {
        mailbox.result(one.index, BODY, 0, 0)
        one.place = 'over'
        expect(one, one.deadline <= now ? 'DEADLINE_EXCEEDED maybe' : 'result')
      }
    } else if (s.kind === 'cancel') {
      const one = all[s.which % Math.max(1, all.length)]
      if (one?.place === 'waiting') {
        mailbox.cancel(one.id)
        one.place = 'over'
        expect(one, 'CANCELLED no')
      }
    } else if (s.kind === 'crash') {
      const answered = new Set(all.filter(({ tag }) => outcomes.has(tag)))
      mailbox.crashed(taken, 'crash')
      taken = 0
      for (const known of all) {
        const lost = known.place === 'taken'
        if (lost) expect(known, answered.has(known) ? 'DEADLINE_EXCEEDED maybe' : 'WORKER_CRASHED maybe')
        else if (!answered.has(known)) expect(known, undefined)
        known.place = lost || answered.has(known) ? 'over' : 'waiting'
      }
    } else {
      now++
      mailbox.expire(now, progress(taken), () => undefined)
      for (const known of all) {
        const late = known.deadline <= now
        if (!late) continue
        expect(known, `DEADLINE_EXCEEDED ${known.place === 'taken' ? 'maybe' : 'no'}`)
        if (known.place === 'waiting') known.place = 'over'
      }
    }
    all = all.filter(({ place }) => place !== 'over')
    assert.equal(mailbox.size, all.length)
    assert.equal(mailbox.inFlight, at('sent').length + at('taken').length)
  }
  const open = all.filter(({ tag }) => !outcomes.has(tag))
  mailbox.failAll((started) => new WorkerStopped('stopped', { executed: started ? 'maybe' : 'no' }), taken)
  for (const known of open) expect(known, `WORKER_STOPPED ${known.place === 'taken' ? 'maybe' : 'no'}`)
  assert.equal(mailbox.size, 0)
  assert.equal(outcomes.size, tags)
  assert.deepEqual(
    ran,
    [...new Set(ran)].sort((a, b) => a - b),
    'messages start in order, and each once',
  )
}

t.test('any order of events: one outcome each, in order, none lost, none started twice after a crash', async (t) => {
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), follow), { numRuns: 2000 })
  t.pass()
})
