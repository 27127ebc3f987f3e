/** What the types of worker proxies allow and refuse: a wrong call that compiled would break the build here. */
import t from 'tap'
import { MetaWorker } from '#offstage/actors/index.js'
import type { Enqueued, WorkerInfo, WorkerProxy } from '#offstage/middleman/index.js'
import { MiddleMan } from '#offstage/middleman/index.js'
import { ScriptedServer } from './scripted-server.js'

interface Charge {
  customer: number
  cents: number
}

declare class BillingWorker extends MetaWorker {
  someTask(charge: Charge): Promise<{ id: number }>
  some_task(text: string): number
  echo(value: unknown): unknown
  ping(): 'pong'
  maybe(count?: number): number
  withDefault(count: number, more?: string): Date
  sendSMS(to: string): void
  override create(data?: unknown): void
  _hidden(): void
  inspect(): void
  asyncTwice(): void
  enq_twice(): void
  readonly property: number
  get accessor(): string
  delete(): void
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(equal: Same<A, B>): void => void equal

/** Never runs: the compiler reads it. */
export async function calls(worker: WorkerProxy<BillingWorker>, middleMan: MiddleMan): Promise<void> {
  const charge = { customer: 1, cents: 2 }

  // Results.
  const result = await worker.someTask({ arg: charge })
  same<typeof result, { id: number }>(true)
  const number = await worker.some_task({ args: 'text' })
  same<typeof number, number>(true)
  const pong = await worker.ping()
  same<typeof pong, 'pong'>(true)
  const accepted = await worker.asyncSomeTask({ arg: charge })
  same<typeof accepted, void>(true)
  const job = await worker.enqSomeTask({ arg: charge, jobKey: 'k', scheduledAt: new Date(), priority: 1 })
  same<typeof job, Enqueued>(true)
  const removed = await worker.deqSomeTask({ jobKey: 'k' })
  same<typeof removed, boolean>(true)
  const everywhere = await worker.some_task({ arg: 'x', host: 'all' })
  same<typeof everywhere, number[]>(true)
  const info = await worker.workerInfo()
  same<typeof info, WorkerInfo>(true)
  const cached = await worker.askResult('key')
  same<typeof cached, unknown>(true)

  // Names follow the method's own case; a single lower-case word has both.
  await worker.async_some_task({ arg: 'x' })
  await worker.enq_some_task({ arg: 'x', jobKey: 'k' })
  await worker.deq_some_task({ jobKey: 'k' })
  await worker.asyncPing()
  await worker.async_ping()
  await worker.enqPing({ jobKey: 'k' })
  await worker.enq_ping({ jobKey: 'k' })
  await worker.asyncSendSMS({ arg: '+49' })
  // @ts-expect-error
  await worker.async_someTask({ arg: charge })
  // @ts-expect-error
  await worker.asyncSome_task({ arg: 'x' })
  // @ts-expect-error
  await worker.asyncSomeTaskk({ arg: charge })

  // Arguments.
  await worker.echo({ arg: undefined })
  await worker.maybe()
  await worker.maybe({})
  await worker.maybe({ arg: 5, timeout: 100 })
  await worker.ping({ timeout: 5, idempotent: true, signal: AbortSignal.timeout(5), jobKey: 'k' })
  await worker.withDefault({ arg: 1 })
  // @ts-expect-error the argument is needed
  await worker.someTask()
  // @ts-expect-error the argument is needed
  await worker.someTask({})
  // @ts-expect-error the argument is needed
  await worker.asyncSomeTask({ timeout: 5 })
  // @ts-expect-error the argument is needed
  await worker.enqSomeTask({ jobKey: 'k' })
  // @ts-expect-error of another type
  await worker.someTask({ arg: { customer: 'one', cents: 2 } })
  // @ts-expect-error of another type
  await worker.enq_some_task({ arg: 5, jobKey: 'k' })
  // @ts-expect-error not in a bag
  await worker.some_task('text')
  // @ts-expect-error takes none
  await worker.ping({ arg: 1 })
  // @ts-expect-error two names of one option
  await worker.some_task({ arg: 'x', args: 'x' })

  // Options.
  // @ts-expect-error the job key is needed
  await worker.enqSomeTask({ arg: charge })
  // @ts-expect-error the job key is needed
  await worker.deqSomeTask()
  // @ts-expect-error no such option
  await worker.ping({ jobkey: 'k' })
  // @ts-expect-error for an enqueue only
  await worker.someTask({ arg: charge, priority: 1 })
  // @ts-expect-error of another type
  await worker.ping({ timeout: '5' })
  // @ts-expect-error a removed job has no argument
  await worker.deqSomeTask({ jobKey: 'k', arg: charge })

  // What a supervisor does not expose.
  // @ts-expect-error
  await worker.create({})
  // @ts-expect-error
  await worker.asyncCreate({})
  // @ts-expect-error
  await worker._hidden()
  // @ts-expect-error
  await worker.inspect()
  // @ts-expect-error
  await worker.addTimer({ arg: 1 })
  // @ts-expect-error
  await worker.property()
  // @ts-expect-error
  void worker.accessor
  // @ts-expect-error
  void worker.logger
  // @ts-expect-error
  await worker.asyncDelete()
  // `asyncTwice()` asks for `twice`, so the method asyncTwice has no name of its own.
  // @ts-expect-error
  await worker.asyncTwice()
  // @ts-expect-error
  await worker.enq_twice()

  // Without a class, any name goes and results are unknown.
  const any = middleMan.worker('anything')
  const unknown = await any.whatever!({ arg: 1, jobKey: 'k', priority: 5 })
  same<typeof unknown, unknown>(true)
  // @ts-expect-error no such option
  await any.whatever!({ agr: 1 })
  const called = middleMan('anything', 'key')
  await called.workerInfo()
  const typed = middleMan<BillingWorker>('billing_worker')
  await typed.ping()

  await middleMan.newWorker({ worker: 'w', workerKey: 'k', data: 1 })
  await middleMan.enqueueMany([{ worker: 'w', method: 'm', arg: 1, jobKey: 'k' }])
  // @ts-expect-error the job key is needed
  await middleMan.enqueueMany([{ worker: 'w', method: 'm' }])
  const all = await middleMan.allWorkerInfo()
  same<typeof all, Record<string, WorkerInfo[] | null>>(true)
  // @ts-expect-error no such option
  await MiddleMan.connect({ hosts: 'x' })
}

t.test('what the types allow is what goes over the wire', async (t) => {
  const server = await ScriptedServer.start()
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.teardown(() => Promise.all([middleMan.close(), server.stopListening()]))
  const worker = middleMan.worker<BillingWorker>('billing_worker')
  t.equal(await worker, worker, 'a typed proxy is no promise either')
  await worker.someTask({ arg: { customer: 1, cents: 2 } })
  await worker.asyncSendSMS({ arg: '+49' })
  await worker.enq_ping({ jobKey: 'k' })
  await worker.deqPing({ jobKey: 'k' })
  t.same(
    server.received.map(({ verb, method }) => [verb, method]),
    [
      [0, 'someTask'],
      [1, 'sendSMS'],
      [2, 'ping'],
      [3, 'ping'],
    ],
  )
})
