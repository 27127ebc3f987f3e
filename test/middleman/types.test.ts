/** What the types of worker proxies allow and refuse: a wrong call that compiled would break the build here. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type } from 'arktype'
import { expectTypeOf } from 'expect-type'
import t from 'tap'
import * as v from 'valibot'
import { z } from 'zod'
import { MetaWorker } from '#offstage/actors/index.js'
import { methodTable } from '#offstage/actors/methods.js'
import type { StandardSchema } from '#offstage/actors/schemas.js'
import type {
  AnyOptions,
  DequeueOptions,
  EnqueueOptions,
  InstanceMethods,
  JobHandle,
  MethodOptions,
  UntypedWorkerProxy,
  WorkerInfo,
  WorkerProxy,
} from '#offstage/middleman/index.js'
import { MiddleMan } from '#offstage/middleman/index.js'
import { ScriptedServer } from './scripted-server.js'

interface Charge {
  customer: number
  cents: number
}

class BillingWorker extends MetaWorker {
  readonly property: number = 1
  async someTask(charge: Charge): Promise<{ id: number }> {
    return { id: charge.customer }
  }
  some_task(text: string): number {
    return text.length
  }
  echo(value: unknown): unknown {
    return value
  }
  ping(): 'pong' {
    return 'pong'
  }
  maybe(count?: number): number {
    return count ?? 0
  }
  withDefault(count: number, more = ''): Date {
    return new Date(count + more.length)
  }
  either(value: string | boolean | undefined): void {
    void value
  }
  all(...texts: string[]): string[] {
    return texts
  }
  first<T>(list: readonly T[]): T | undefined {
    return list[0]
  }
  sendSMS(to: string): void {
    void to
  }
  Upper(text: string): void {
    void text
  }
  asynchronous(): void {}
  override create(data?: unknown): void {
    void data
  }
  _hidden(): void {}
  inspect(): void {}
  asyncTwice(): void {}
  enq_twice(): void {}
  get accessor(): string {
    return ''
  }
  delete(): void {}
  protected guarded(): void {}
  private secret(): void {}
  #own(): void {}
  needsTwo(one: number, two: number): number {
    this.secret()
    this.#own()
    return one + two
  }
}

class CheckedWorker extends MetaWorker {
  static override schemas = {
    zod: z.object({ id: z.string().transform(Number) }),
    valibot: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
    arktype: type({ id: 'number' }),
    optional: z.string().optional(),
  }
  zod({ id }: { id: number }): number {
    return id
  }
  valibot(day: Date): void {
    void day
  }
  arktype({ id }: { id: number }): void {
    void id
  }
  optional(text?: string): void {
    void text
  }
  free(flag: boolean): void {
    void flag
  }
}

/** Never runs: the compiler reads it. */
export async function calls(worker: WorkerProxy<BillingWorker>, middleMan: MiddleMan): Promise<void> {
  const charge = { customer: 1, cents: 2 }

  // Results.
  expectTypeOf(await worker.someTask({ arg: charge })).toEqualTypeOf<{ id: number }>()
  expectTypeOf(await worker.some_task({ args: 'text' })).toEqualTypeOf<number>()
  expectTypeOf(await worker.ping()).toEqualTypeOf<'pong'>()
  expectTypeOf(await worker.all({ arg: 'x' })).toEqualTypeOf<string[]>()
  expectTypeOf(await worker.first({ arg: ['x'] })).toEqualTypeOf<unknown>()
  expectTypeOf(await worker.asyncSomeTask({ arg: charge })).toEqualTypeOf<void>()
  const job = { arg: charge, jobKey: 'k', scheduledAt: new Date(), priority: 1, attempts: 2, atMostOnce: true }
  expectTypeOf(await worker.enqSomeTask(job)).toExtend<JobHandle>()
  expectTypeOf(await worker.deqSomeTask({ jobKey: 'k' })).toEqualTypeOf<boolean>()
  expectTypeOf(await worker.workerInfo()).toEqualTypeOf<WorkerInfo>()
  expectTypeOf(await worker.askResult('key')).toEqualTypeOf<unknown>()
  expectTypeOf(await worker.resetResult('key')).toEqualTypeOf<void>()
  expectTypeOf(await worker.delete()).toEqualTypeOf<void>()

  // On all servers there are as many results as servers; of another host there is one.
  expectTypeOf(await worker.some_task({ arg: 'x', host: 'all' })).toEqualTypeOf<number[]>()
  expectTypeOf(await worker.some_task({ arg: 'x', host: '10.0.0.1:11006' })).toEqualTypeOf<number>()
  expectTypeOf(await worker.maybe({ host: 'all' })).toEqualTypeOf<number[]>()
  expectTypeOf(await worker.asyncPing({ host: 'all' })).toEqualTypeOf<void>()
  expectTypeOf(await worker.enqPing({ jobKey: 'k', host: 'all' })).toExtend<JobHandle[]>()
  expectTypeOf(await worker.deqPing({ jobKey: 'k', host: 'all' })).toEqualTypeOf<boolean[]>()
  expectTypeOf(await worker.workerInfo({ host: 'all' })).toEqualTypeOf<WorkerInfo[]>()
  expectTypeOf(await worker.workerInfo({ host: 'local' })).toEqualTypeOf<WorkerInfo>()

  // Names follow the method's own case; a single lower-case word has both.
  await worker.async_some_task({ arg: 'x' })
  await worker.enq_some_task({ arg: 'x', jobKey: 'k' })
  await worker.deq_some_task({ jobKey: 'k' })
  await worker.asyncPing()
  await worker.async_ping()
  await worker.enqPing({ jobKey: 'k' })
  await worker.enq_ping({ jobKey: 'k' })
  await worker.asyncSendSMS({ arg: '+49' })
  await worker.async_Upper({ arg: 'x' })
  await worker.asyncAsynchronous()
  // @ts-expect-error
  await worker.async_someTask({ arg: charge })
  // @ts-expect-error
  await worker.asyncSome_task({ arg: 'x' })
  // @ts-expect-error
  await worker.asyncSomeTaskk({ arg: charge })
  // @ts-expect-error that asks for `upper`
  await worker.asyncUpper({ arg: 'x' })
  // @ts-expect-error
  await worker.runSomeTask({ arg: charge })

  // Arguments.
  await worker.echo({ arg: undefined })
  await worker.either({ arg: undefined })
  await worker.either({ args: true })
  await worker.all()
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
  await worker.either({})
  // @ts-expect-error the argument is needed
  await worker.asyncSomeTask({ timeout: 5 })
  // @ts-expect-error the argument is needed
  await worker.enqSomeTask({ jobKey: 'k' })
  // @ts-expect-error of another type
  await worker.someTask({ arg: { customer: 'one', cents: 2 } })
  // @ts-expect-error with a field too many
  await worker.someTask({ arg: { customer: 1, cents: 2, dollars: 3 } })
  // @ts-expect-error of another type
  await worker.enq_some_task({ arg: 5, jobKey: 'k' })
  // @ts-expect-error of another type
  await worker.maybe({ arg: 'five' })
  // @ts-expect-error not in a bag
  await worker.some_task('text')
  // @ts-expect-error takes none
  await worker.ping({ arg: 1 })
  // @ts-expect-error two names of one option
  await worker.some_task({ arg: 'x', args: 'x' })
  // @ts-expect-error one bag is all
  await worker.some_task({ arg: 'x' }, { timeout: 5 })

  // Options.
  expectTypeOf(worker.ping).parameter(0).toExtend<MethodOptions | undefined>()
  expectTypeOf(worker.enqPing).parameter(0).toExtend<EnqueueOptions>()
  expectTypeOf(worker.deqPing).parameter(0).toExtend<DequeueOptions>()
  // @ts-expect-error the job key is needed
  await worker.enqSomeTask({ arg: charge })
  // @ts-expect-error the job key is needed
  await worker.enqPing()
  // @ts-expect-error the job key is needed
  await worker.deqSomeTask()
  // @ts-expect-error no such option
  await worker.ping({ jobkey: 'k' })
  // @ts-expect-error for an enqueue only
  await worker.someTask({ arg: charge, priority: 1 })
  // @ts-expect-error for an enqueue only
  await worker.asyncSomeTask({ arg: charge, scheduledAt: 1 })
  // @ts-expect-error of another type
  await worker.ping({ timeout: '5' })
  // @ts-expect-error of another type
  await worker.ping({ signal: new AbortController() })
  // @ts-expect-error of another type
  await worker.enqPing({ jobKey: 5 })
  // @ts-expect-error a removed job has no argument
  await worker.deqSomeTask({ jobKey: 'k', arg: charge })
  // @ts-expect-error what goes to all servers has no job key
  await worker.workerInfo({ jobKey: 'k' })

  // What a supervisor does not expose.
  expectTypeOf<keyof WorkerProxy<MetaWorker>>().toEqualTypeOf<keyof InstanceMethods>()
  // @ts-expect-error
  await worker.create({})
  // @ts-expect-error
  await worker.asyncCreate({})
  // @ts-expect-error
  await worker._hidden()
  // @ts-expect-error
  await worker.async_hidden()
  // @ts-expect-error
  await worker.secret()
  // @ts-expect-error
  await worker.guarded()
  // @ts-expect-error
  await worker.inspect()
  // @ts-expect-error
  await worker.addTimer({ arg: 1 })
  // @ts-expect-error
  await worker.enqConnect({ jobKey: 'k' })
  // @ts-expect-error
  await worker.property()
  // @ts-expect-error
  void worker.accessor
  // @ts-expect-error
  void worker.logger
  // @ts-expect-error
  await worker.asyncDelete()
  // @ts-expect-error a call brings one argument
  await worker.needsTwo({ arg: 1 })
  // `asyncTwice()` asks for `twice`, so the method asyncTwice has no name of its own.
  // @ts-expect-error
  await worker.asyncTwice()
  // @ts-expect-error
  await worker.enq_twice()

  // A class with schemas: the argument is what these take, and not what the method gets of them.
  const checked = middleMan.worker<typeof CheckedWorker>('checked_worker')
  expectTypeOf(checked).toEqualTypeOf<WorkerProxy<typeof CheckedWorker>>()
  expectTypeOf(await checked.zod({ arg: { id: '1' } })).toEqualTypeOf<number>()
  expectTypeOf(await checked.asyncValibot({ arg: '2030-01-01' })).toEqualTypeOf<void>()
  expectTypeOf(await checked.enqArktype({ arg: { id: 1 }, jobKey: 'k' })).toExtend<JobHandle>()
  expectTypeOf(await checked.zod({ arg: { id: '1' }, host: 'all' })).toEqualTypeOf<number[]>()
  await checked.optional()
  await checked.optional({ arg: 'text' })
  await checked.free({ arg: true })
  // @ts-expect-error of another type
  await checked.zod({ arg: { id: 1 } })
  // @ts-expect-error that is what the method gets
  await checked.valibot({ arg: new Date() })
  // @ts-expect-error of another type
  await checked.enqArktype({ arg: { id: '1' }, jobKey: 'k' })
  // @ts-expect-error the argument is needed
  await checked.zod()
  // @ts-expect-error of another type
  await checked.optional({ arg: 5 })
  // @ts-expect-error of another type
  await checked.free({ arg: 'text' })
  // @ts-expect-error a static is no method
  await checked.schemas()
  // By the instance's type alone nobody knows of schemas: it is what the method gets.
  await middleMan.worker<CheckedWorker>('checked_worker').zod({ arg: { id: 1 } })
  // A class without schemas is as good as the type of its instances.
  expectTypeOf<keyof WorkerProxy<typeof BillingWorker>>().toEqualTypeOf<keyof WorkerProxy<BillingWorker>>()
  await middleMan.worker<typeof BillingWorker>('billing_worker').someTask({ arg: charge })

  // Our few types of the standard take whatever follows it.
  expectTypeOf<StandardSchemaV1<string, Date>>().toExtend<StandardSchema<string, Date>>()
  expectTypeOf<StandardSchemaV1>().toExtend<StandardSchema>()

  // Without a class, any name goes and results are unknown.
  expectTypeOf<WorkerProxy>().toEqualTypeOf<UntypedWorkerProxy>()
  const any = middleMan.worker('anything')
  expectTypeOf(await any.whatever!({ arg: 1, jobKey: 'k', priority: 5 })).toEqualTypeOf<unknown>()
  expectTypeOf(any.whatever!).parameter(0).toEqualTypeOf<AnyOptions | undefined>()
  expectTypeOf(await any.workerInfo()).toEqualTypeOf<WorkerInfo>()
  // @ts-expect-error no such option
  await any.whatever!({ agr: 1 })

  // A client.
  const called = middleMan('anything', 'key')
  await called.workerInfo()
  expectTypeOf(middleMan<BillingWorker>('billing_worker')).toEqualTypeOf<WorkerProxy<BillingWorker>>()
  expectTypeOf(middleMan.worker<BillingWorker>('billing_worker', 'key')).toEqualTypeOf<WorkerProxy<BillingWorker>>()
  // @ts-expect-error the name is text
  middleMan.worker<BillingWorker>(5)
  // @ts-expect-error the name is needed
  middleMan<BillingWorker>()
  // @ts-expect-error a class is no name
  middleMan.worker(BillingWorker)
  // @ts-expect-error the key is text
  middleMan.worker<BillingWorker>('billing_worker', 5)

  expectTypeOf(await middleMan.newWorker({ worker: 'w', workerKey: 'k', data: 1 })).toEqualTypeOf<string>()
  // @ts-expect-error the worker is needed
  await middleMan.newWorker({ workerKey: 'k' })
  const jobs = await middleMan.enqueueMany([{ worker: 'w', method: 'm', arg: 1, jobKey: 'k' }])
  expectTypeOf(jobs).toExtend<JobHandle[]>()
  // @ts-expect-error the job key is needed
  await middleMan.enqueueMany([{ worker: 'w', method: 'm' }])
  expectTypeOf(await middleMan.allWorkerInfo()).toEqualTypeOf<Record<string, WorkerInfo[] | null>>()
  // @ts-expect-error no such option
  await MiddleMan.connect({ hosts: 'x' })
}

/** Names of a proxy that call a method and wait for its result. */
type Calls<W, K = keyof WorkerProxy<W>> = K extends
  | keyof InstanceMethods
  | `${'async' | 'enq' | 'deq'}${'_' | Uppercase<string>}${string}`
  ? never
  : K

t.test('types know the methods that a server exposes, and no others', async (t) => {
  const callable: Record<Calls<BillingWorker> | 'needsTwo', true> = {
    someTask: true,
    some_task: true,
    echo: true,
    ping: true,
    maybe: true,
    withDefault: true,
    either: true,
    all: true,
    first: true,
    sendSMS: true,
    Upper: true,
    asynchronous: true,
    needsTwo: true,
  }
  const { methods } = methodTable(BillingWorker.prototype, MetaWorker.prototype)
  // At run time nobody knows of `private` and `protected`.
  const exposed = [...methods.keys()].filter((name) => name !== 'secret' && name !== 'guarded')
  t.same(exposed.sort(), Object.keys(callable).sort())
})

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
  await worker.some_task({ arg: 'x' })
  await worker.async_some_task({ arg: 'x' })
  await worker.enq_some_task({ arg: 'x', jobKey: 'k' })
  await worker.deq_some_task({ jobKey: 'k' })
  await worker.async_Upper({ arg: 'x' })
  await worker.asynchronous()
  await worker.asyncAsynchronous()
  t.same(
    server.received.map(({ verb, method }) => [verb, method]),
    [
      [0, 'someTask'],
      [1, 'sendSMS'],
      [2, 'ping'],
      [3, 'ping'],
      [0, 'some_task'],
      [1, 'some_task'],
      [2, 'some_task'],
      [3, 'some_task'],
      [1, 'Upper'],
      [0, 'asynchronous'],
      [1, 'asynchronous'],
    ],
  )
})
