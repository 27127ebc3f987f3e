/** The rule for how many jobs are sent ahead. */
import t from 'tap'
import { roomFor } from '#offstage/actors/room.js'

const worker = (concurrency: number, mailboxLimit = 10_000) => ({
  name: 'w',
  methods: [],
  refused: [],
  autoLoad: true,
  concurrency,
  host: 'thread' as const,
  createTimeout: 60_000,
  restart: 'permanent',
  maxRestarts: 5,
  restartPeriod: 60,
  mailboxLimit,
  memoryLimit: 0,
  env: {},
  execArgv: [],
  poolSize: 20,
})

t.test('as many as run at a time, plus five milliseconds of work, up to 512', async (t) => {
  t.equal(roomFor(worker(1), 0, 0), 1, 'while nothing is known')
  t.equal(roomFor(worker(1), 5000, 0), 1)
  t.equal(roomFor(worker(20), 100, 0), 20)
  t.equal(roomFor(worker(1), 1, 0), 6)
  t.equal(roomFor(worker(1), 0.1, 0), 51)
  t.equal(roomFor(worker(1), 0.001, 0), 512)
  t.equal(roomFor(worker(800), 0.001, 0), 800, 'concurrency counts also above that')
})

t.test('less what is outstanding, never below 0, never more than the mailbox takes', async (t) => {
  t.equal(roomFor(worker(10), 0, 4), 6)
  t.equal(roomFor(worker(10), 0, 10), 0)
  t.equal(roomFor(worker(10), 0, 11), 0)
  t.equal(roomFor(worker(100, 30), 0, 10), 20)
})
