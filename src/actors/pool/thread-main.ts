/** What runs in a thread of the pool: each task is one deferred call. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { describeThrown } from '../../wire/failure.js'
import { BY_CALLER, BY_DEADLINE, type Call } from '../call.js'
import { loadWorker } from '../load.js'
import type { FromThread, ThreadTask, ToThread } from './line.js'
import { deferredRun } from './run.js'
import type { ActorBridge } from './task.js'

/** piscina waits for the promise, which never rejects: the outcome goes over the port. */
export async function run({ load, task, port, answers }: ThreadTask): Promise<void> {
  const line = new ThreadLine(task.method, port, answers)
  try {
    const { Class } = await loadWorker(load.file, load.overrides)
    line.hear()
    if (line.cancelled !== 0) return
    line.post({ type: 'started' })
    const deferred = deferredRun(Class, task, line, () => line.hear())
    line.call = deferred.call
    line.outcome(await deferred.run())
  } catch (error) {
    line.post({ type: 'threw', failure: describeThrown(error) })
  } finally {
    line.end()
  }
}

class ThreadLine implements ActorBridge {
  /** BY_CALLER or BY_DEADLINE. */
  cancelled = 0
  #call: Call | undefined
  readonly #method: string
  readonly #port: MessagePort
  readonly #answers: Int32Array
  readonly #settlements = new Map<number, (current: boolean) => void>()
  #lastToken = 0
  #answer: ToThread | undefined
  #over = false

  constructor(method: string, port: MessagePort, answers: SharedArrayBuffer) {
    this.#method = method
    this.#port = port
    this.#answers = new Int32Array(answers)
    port.on('message', (message: ToThread) => this.#heard(message))
  }

  set call(call: Call) {
    this.#call = call
    if (this.cancelled !== 0) call.cancel(this.cancelled)
  }

  /** Takes what has come, without waiting for the event loop. */
  hear(): void {
    if (this.#over) return
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      this.#heard(next.message as ToThread)
    }
  }

  post(message: FromThread): void {
    this.#port.postMessage(message)
  }

  outcome(value: unknown): void {
    try {
      this.post({ type: 'returned', value })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.post({ type: 'cannotRun', message: `what ${this.#method} returned cannot be sent from its thread: ${why}` })
    }
  }

  end(): void {
    this.#over = true
    for (const settle of this.#settlements.values()) settle(false)
    this.#port.close()
  }

  cached(key: string): Uint8Array | undefined {
    const answer = this.#ask({ type: 'get', key })
    return answer.type === 'value' ? answer.value : undefined
  }

  cachedKeys(): string[] {
    const answer = this.#ask({ type: 'list' })
    return answer.type === 'keys' ? answer.keys : []
  }

  setCached(key: string, value?: Uint8Array, ttl?: number): void {
    this.#mustRun('its cache')
    this.post({ type: 'set', key, value, ttl })
  }

  log(line: Uint8Array): void {
    this.#mustRun('its logger')
    this.post({ type: 'log', line })
  }

  progress(value: Uint8Array): void {
    this.#mustRun('its progress')
    this.post({ type: 'progress', value })
  }

  settle(release: boolean): Promise<boolean> {
    if (this.#over) return Promise.resolve(false)
    const token = ++this.#lastToken
    this.post({ type: 'settle', token, release })
    return new Promise((resolve) => this.#settlements.set(token, resolve))
  }

  #heard(message: ToThread): void {
    if (message.type === 'cancel') {
      this.cancelled = message.overdue ? BY_DEADLINE : BY_CALLER
      this.#call?.cancel(this.cancelled)
    } else if (message.type === 'settled') {
      this.#settlements.get(message.token)?.(message.current)
      this.#settlements.delete(message.token)
    } else this.#answer = message
  }

  /** The worker's thread answers between its turns; until then this thread waits. */
  #ask(question: FromThread): ToThread {
    this.#mustRun('its cache')
    const before = Atomics.load(this.#answers, 0)
    this.post(question)
    // The wake-up for an earlier answer may come only now.
    while (Atomics.load(this.#answers, 0) === before) Atomics.wait(this.#answers, 0, before)
    this.#answer = undefined
    this.hear()
    return this.#answer!
  }

  #mustRun(what: string): void {
    if (!this.#over) return
    throw new Error(`${this.#method} has ended in its pool thread, and with it ${what}: wait for all that it starts`)
  }
}
