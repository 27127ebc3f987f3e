/** The operations of the conformance files, by the TypeScript client. */
import { type JobHandle, MiddleMan, OffstageError, type UntypedWorkerProxy } from 'offstage/middleman'

export interface Operation {
  readonly op: 'call' | 'async' | 'enqueue' | 'dequeue' | 'ask_result'
  readonly worker: string
  readonly method?: string
  readonly key?: string
  readonly worker_key?: string
  readonly job_key?: string
  readonly arg?: unknown
  /** Milliseconds. */
  readonly timeout?: number
  readonly run_at?: number
  readonly priority?: number
}

export interface Given {
  readonly host: string
  readonly port: number
  readonly user?: string
  readonly password?: string
  readonly operations: readonly Operation[]
}

const PREFIXES = { call: '', async: 'async_', enqueue: 'enq_', dequeue: 'deq_' }

/** As conformance.py prints it. */
export async function runOperations({ host, port, operations, ...identity }: Given): Promise<unknown[]> {
  const outcomes: unknown[] = []
  const failed = await outcome(async () => {
    const middleMan = await MiddleMan.connect({ client: `${host}:${port}`, ...identity, connectTimeout: 2_000 })
    for (const operation of operations) outcomes.push(await outcome(() => run(middleMan, operation)))
    await middleMan.close({ timeout: 0 })
  })
  return 'error' in failed ? [failed] : outcomes
}

async function run(middleMan: MiddleMan, operation: Operation): Promise<unknown> {
  const { op, worker, method, key, worker_key, job_key, run_at, ...rest } = operation
  const proxy = middleMan.worker(worker, worker_key) as UntypedWorkerProxy
  if (op === 'ask_result') return proxy.askResult(key!)
  const options = {
    ...rest,
    ...(job_key === undefined ? {} : { jobKey: job_key }),
    ...(run_at === undefined ? {} : { scheduledAt: new Date(run_at) }),
  }
  const answer = await proxy[`${PREFIXES[op]}${method}`]!(options)
  if (op !== 'enqueue') return answer
  // Which server it was is what the client knows, and no bytes of the answer; nor is what did not happen.
  const { server: _, replaced, ...sent } = answer as JobHandle
  return replaced ? { ...sent, replaced } : sent
}

async function outcome(action: () => Promise<unknown>): Promise<object> {
  try {
    return { value: (await action()) ?? null }
  } catch (error) {
    if (!(error instanceof OffstageError)) throw error
    const { code, executed, retryable } = error
    return { error: { code, executed, retryable } }
  }
}
