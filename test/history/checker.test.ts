import t from 'tap'
import { check } from './checker.js'
import { QUEUE, Sketch } from './sketch.js'

/** What the checker says, as `invariant: what`. */
function found(sketch: Sketch): string[] {
  return check(sketch.history).map(({ invariant, what }) => `${invariant}: ${what}`)
}

/** Each invariant alone: a history that violates it, and one that comes close and is allowed. */
function invariant(
  name: string,
  { violated, allowed }: { violated: [RegExp, (s: Sketch) => unknown]; allowed: ((s: Sketch) => unknown)[] },
): void {
  t.test(name, async (t) => {
    const [pattern, violate] = violated
    const bad = new Sketch()
    violate(bad)
    const violations = found(bad)
    t.ok(
      violations.some((text) => pattern.test(text)),
      `${pattern} is among ${JSON.stringify(violations)}`,
    )
    for (const allow of allowed) {
      const good = new Sketch()
      allow(good)
      t.same(found(good), [])
    }
  })
}

invariant('1 no loss: an acknowledged job ends done, dead or dequeued', {
  violated: [
    /^no loss: job 2 mailer\/\/b was acknowledged and is lost, at the end of 2/,
    (s) =>
      s
        .enqueue(1, s.wanted('a'))
        .enqueue(2, s.wanted('b'))
        .state(s.seen(1, s.wanted('a'))),
  ],
  allowed: [
    (s) => {
      const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((key) => s.wanted(key)) as [never, never, never, never]
      s.enqueue(1, a).enqueue(2, b).enqueue(3, c).enqueue(4, d)
      s.claim(s.issued(1, 1, a), s.issued(2, 1, b))
        .finish(1, 1)
        .fail(2, 1, 2000)
        .dequeue('c')
      s.state(s.seen(2, b, { attempts: 1, runAt: 2000, state: 'scheduled' }), s.seen(4, d))
    },
    // The end of job 1 and the enqueue of job 2 were in flight: they may have happened, or not.
    (s) => {
      s.enqueue(1, s.wanted('a')).claim(s.issued(1, 1, s.wanted('a')))
      s.invoke({ op: 'finish', attempts: [{ id: 1, attempt: 1 }] })
      s.invoke({ op: 'enqueue', jobs: [s.wanted('b')] })
      s.crash().open().state()
    },
  ],
})

invariant('2 no invention: what runs was asked for', {
  violated: [/^no invention: job 7 carries the token other, which nobody sent/, (s) => s.run(7, 1, 'other')],
  allowed: [
    // Nobody heard of it, but somebody asked for it.
    (s) => {
      s.info(s.invoke({ op: 'enqueue', jobs: [s.wanted('a')] }))
      s.run(1, 1, 'a')
    },
  ],
})

t.test('2 no invention: a refused enqueue, a changed job, two jobs of one request', async (t) => {
  const refused = new Sketch()
  refused.fails(refused.invoke({ op: 'enqueue', jobs: [refused.wanted('a')] }))
  refused.run(1, 1, 'a')
  t.match(found(refused), [/although its enqueue failed/])
  const changed = new Sketch()
  const wanted = changed.wanted('a')
  changed.enqueue(1, wanted).claim(changed.issued(1, 1, wanted, { method: 'other' }))
  t.match(found(changed), [/has method other, asked for was send/])
  const damaged = new Sketch()
  damaged.enqueue(1, wanted).claim(damaged.issued(1, 1, wanted, { token: undefined }))
  t.match(found(damaged), [/has an argument that nobody sent/])
  const twice = new Sketch()
  twice.enqueue(1, wanted).run(2, 1, 'a')
  t.match(found(twice), [/the request a made job 1 and job 2/])
})

invariant('3 bounded repeats: at most maxAttempts starts', {
  violated: [
    /^bounded repeats: job 1 mailer\/\/a started in attempt 2 of 1/,
    (s) =>
      s
        .enqueue(1, s.wanted('a', { maxAttempts: 1 }))
        .run(1, 1, 'a')
        .run(1, 2, 'a'),
  ],
  allowed: [
    (s) =>
      s
        .enqueue(1, s.wanted('a', { maxAttempts: 2 }))
        .run(1, 1, 'a')
        .run(1, 2, 'a'),
    // The power cut took the claim with it.
    (s) =>
      s
        .enqueue(1, s.wanted('a', { maxAttempts: 1 }))
        .run(1, 1, 'a')
        .crash(true)
        .run(1, 1, 'a'),
  ],
})

t.test('3 bounded repeats: no attempt twice, atMostOnce once, none after its completion', async (t) => {
  const killed = new Sketch()
  killed.enqueue(1, killed.wanted('a')).run(1, 1, 'a').crash(false).run(1, 1, 'a')
  t.match(found(killed), [/started twice in attempt 1/], 'a kill loses nothing that was written')
  const once = new Sketch()
  once
    .enqueue(1, once.wanted('a', { atMostOnce: true }))
    .run(1, 1, 'a')
    .crash(true)
    .run(1, 1, 'a')
  t.match(found(once), [/started twice in attempt 1/], 'the claim of such a job is durable')
  const done = new Sketch()
  const a = done.wanted('a')
  done
    .enqueue(1, a)
    .claim(done.issued(1, 1, a))
    .run(1, 1, 'a')
    .finish(1, 1)
    .run(1, 2, 'a')
  t.match(found(done), [/started after its completion was acknowledged/])
})

invariant('4 no overlap: a job does not run beside itself', {
  violated: [
    /^no overlap: job 1 mailer\/\/a started in attempt 2 while attempt 1 ran/,
    (s) => {
      s.enqueue(1, s.wanted('a')).start(1, 1, 'a')
      s.start(1, 2, 'a')
    },
  ],
  allowed: [
    (s) => {
      s.enqueue(1, s.wanted('a')).start(1, 1, 'a')
      s.crash().open().run(1, 2, 'a')
    },
  ],
})

invariant('5 fencing: an attempt is settled by who holds it', {
  violated: [
    /^fencing: attempt 1 of job 1 mailer\/\/a was settled by finish, but nobody held it/,
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .crash()
        .open()
        .claim(s.issued(1, 2, a, { suspect: true }))
        .finish(1, 1)
    },
  ],
  allowed: [
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .crash()
        .open()
        .claim(s.issued(1, 2, a, { suspect: true }))
      s.finish(1, 1, false).finish(1, 2)
    },
    // Given back as not counted, and given out again under its number: the first holder cannot be told from the second.
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .release(1, 1, false, 0)
        .claim(s.issued(1, 1, a))
        .finish(1, 1)
    },
  ],
})

t.test('5 fencing: an attempt is settled once', async (t) => {
  const twice = new Sketch()
  const a = twice.wanted('a')
  twice
    .enqueue(1, a)
    .claim(twice.issued(1, 1, a))
    .fail(1, 1, 0)
    .finish(1, 1)
  t.match(found(twice), [/settled twice, by fail and by finish/])
})

invariant('6 uniqueness: at most one unfinished job per key', {
  violated: [
    /^uniqueness: mailer\/\/a would be two jobs at once/,
    (s) => s.enqueue(1, s.wanted('a')).enqueue(2, s.wanted('a', { token: 'second' })),
  ],
  allowed: [
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a).enqueue(1, s.wanted('a', { token: 'second' }), false)
      s.claim(s.issued(1, 1, a))
        .finish(1, 1)
        .enqueue(3, s.wanted('a', { token: 'third' }))
    },
    // Both in flight: the second was right to be told of the first.
    (s) => {
      const first = s.invoke({ op: 'enqueue', jobs: [s.wanted('a')] })
      const second = s.invoke({ op: 'enqueue', jobs: [s.wanted('a', { token: 'second' })] })
      s.ok(second, { op: 'enqueue', jobs: [{ id: 1, created: false }] })
      s.ok(first, { op: 'enqueue', jobs: [{ id: 1, created: true }] })
    },
    // The dequeue without an answer explains that the key was free.
    (s) => {
      s.enqueue(1, s.wanted('a')).info(s.invoke({ op: 'dequeue', queue: QUEUE, jobKey: 'a' }))
      s.enqueue(2, s.wanted('a', { token: 'second' }))
    },
    // It was running when the process was killed, and that was its last attempt.
    (s) => {
      const a = s.wanted('a', { maxAttempts: 1 })
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .crash()
        .open()
        .enqueue(2, s.wanted('a', { token: 'second' }))
    },
  ],
})

invariant('7 order: a claim passes over no job of higher rank that was due', {
  violated: [
    /^order: job 2 mailer\/\/b was due, and job 1 mailer\/\/a was claimed before it/,
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .enqueue(2, s.wanted('b', { priority: 1 }))
        .claim(s.issued(1, 1, a))
    },
  ],
  allowed: [
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .enqueue(2, s.wanted('b', { priority: 1, runAt: 5000 }))
        .claim(s.issued(1, 1, a))
    },
    // Its enqueue was not acknowledged before the claim was made.
    (s) => {
      const [a, b] = [s.wanted('a'), s.wanted('b', { priority: 1 })]
      s.enqueue(1, a)
      const enqueue = s.invoke({ op: 'enqueue', jobs: [b] })
      const claim = s.invoke({ op: 'claim', queue: QUEUE, limit: 1, lastAttempts: 1 })
      s.ok(enqueue, { op: 'enqueue', jobs: [{ id: 2, created: true }] })
      s.ok(claim, { op: 'claim', jobs: [s.issued(1, 1, a)] })
    },
  ],
})

t.test('7 order: the jobs of one claim are in their order', async (t) => {
  const sketch = new Sketch()
  const [a, b] = [sketch.wanted('a'), sketch.wanted('b')]
  sketch
    .enqueue(1, a)
    .enqueue(2, b)
    .claim(sketch.issued(2, 1, b), sketch.issued(1, 1, a))
  t.match(found(sketch), [/job 1 mailer\/\/a was claimed behind job 2/])
})

invariant('8 not early: nothing runs before its time', {
  violated: [
    /^not early: job 1 mailer\/\/a was claimed .* ms too early/,
    (s) => {
      const a = s.wanted('a', { runAt: 2000 })
      s.enqueue(1, a).claim(s.issued(1, 1, a))
    },
  ],
  allowed: [
    (s) => {
      const a = s.wanted('a', { runAt: 2000 })
      s.enqueue(1, a)
      s.at = 2000
      s.claim(s.issued(1, 1, a)).run(1, 1, 'a')
    },
  ],
})

t.test('8 not early: also not before its retry, and not after it was dequeued', async (t) => {
  const retried = new Sketch()
  const a = retried.wanted('a')
  retried
    .enqueue(1, a)
    .claim(retried.issued(1, 1, a))
    .fail(1, 1, 3000)
    .claim(retried.issued(1, 2, a))
  t.match(found(retried), [/was claimed .* ms too early/])
  const dequeued = new Sketch()
  dequeued.enqueue(1, a).dequeue('a').run(1, 1, 'a')
  t.match(found(dequeued), [/ran after it had been dequeued/])
  const reused = new Sketch()
  reused
    .enqueue(1, a)
    .dequeue('a')
    .enqueue(2, reused.wanted('a', { token: 'second' }))
    .run(2, 1, 'second')
  t.same(found(reused), [], 'another job may have the key')
})

invariant('9 liveness: without faults all gets done', {
  violated: [
    /^liveness: job 1 mailer\/\/a is still ready at the end/,
    (s) =>
      s
        .enqueue(1, s.wanted('a'))
        .healed()
        .state(s.seen(1, s.wanted('a'))),
  ],
  allowed: [
    (s) => {
      const a = s.wanted('a', { maxAttempts: 1 })
      s.enqueue(1, a)
        .healed()
        .claim(s.issued(1, 1, a))
        .fail(1, 1, 'dead')
      s.state(s.seen(1, a, { state: 'dead', attempts: 1 }))
    },
  ],
})

invariant('10 model equality: what is acknowledged has happened', {
  violated: [
    /^model equality: job 1 mailer\/\/a is ready with 0 attempts.*, but it can only be suspect, waiting with 1 attempts/,
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .crash(false)
        .open()
        .state(s.seen(1, a))
    },
  ],
  allowed: [
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .crash(false)
        .open()
        .state(s.seen(1, a, { attempts: 1 }))
    },
    // The power cut took the claim, which nothing after it had made durable.
    (s) => {
      const a = s.wanted('a')
      s.enqueue(1, a)
        .claim(s.issued(1, 1, a))
        .crash(true)
        .open()
        .state(s.seen(1, a))
    },
    // Nobody was told of job 2, and there it is.
    (s) => {
      s.invoke({ op: 'enqueue', jobs: [s.wanted('b')] })
      s.crash()
        .open()
        .state(s.seen(2, s.wanted('b')))
    },
    // Nobody was told of job 1 either, and it was removed before anybody looked.
    (s) => {
      s.info(s.invoke({ op: 'enqueue', jobs: [s.wanted('a'), s.wanted('b')] }))
      s.dequeue('a')
        .open()
        .state(s.seen(2, s.wanted('b')))
    },
  ],
})

t.test('10 model equality: a durable claim, half a call, a store that does not open', async (t) => {
  const durable = new Sketch()
  const a = durable.wanted('a')
  durable
    .enqueue(1, a)
    .claim(durable.issued(1, 1, a))
    .enqueue(2, durable.wanted('b'))
  durable
    .crash(true)
    .open()
    .state(durable.seen(1, a), durable.seen(2, durable.wanted('b')))
  t.match(
    found(durable),
    [/job 1 mailer\/\/a is ready with 0 attempts/],
    'the enqueue after it was synced, so it was, too',
  )
  const half = new Sketch()
  half.invoke({ op: 'enqueue', jobs: [half.wanted('a'), half.wanted('b')] })
  half.crash().open().state(half.seen(1, a))
  t.match(found(half), [/mailer\/\/b is missing, but other jobs of the same call are there/])
  const nobody = new Sketch()
  nobody.dequeue('a')
  t.match(found(nobody), [
    /^uniqueness: mailer\/\/a .* no order of the calls explains its dequeue/,
    /^model equality: mailer\/\/a was removed, but no job with that key was waiting/,
  ])
  const refused = new Sketch()
  refused.history.push({ type: 'refused', at: 1, why: 'damaged' })
  t.match(found(refused), [/the store does not open: damaged/])
})

t.test('a list that is no history is an error', async (t) => {
  const unknown = new Sketch()
  unknown.history.push({ type: 'ok', at: 1, call: 1, answer: { op: 'close' } })
  t.throws(() => check(unknown.history), { message: 'event 0 ends call 1, which is not in flight' })
})
