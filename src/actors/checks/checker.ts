/**
 * Checks arguments before they are stored or taken: in a thread of its own, with the schemas of the worker's file. So the
 * supervisor decodes no arguments, a busy worker holds nobody up, and one that is stopped still has its schemas.
 *
 * One batch is under way at a time; what comes meanwhile is the next one. Outcomes come in the order of the questions.
 */
import { Worker } from 'node:worker_threads'
import { type OffstageError, WorkerCrashed } from '../../errors.js'
import { decodeFailure } from '../../wire/failure.js'
import type { WorkerDescription } from '../description.js'
import type { CheckAnswer, CheckBatch, CheckerData } from './batch.js'

const PATIENCE = 10_000
/** Of one batch. The next one is collected meanwhile, so longer ones gain nothing. */
const MOST_QUESTIONS = 1_000
const MOST_BYTES = 4 * 1024 * 1024

interface Question {
  readonly method: string
  /** CBOR; empty for none. */
  readonly argument: Uint8Array
  readonly resolve: () => void
  readonly reject: (error: OffstageError) => void
}

export interface CheckerOptions extends CheckerData {
  readonly worker: Pick<WorkerDescription, 'name' | 'schemas' | 'env' | 'memoryLimit'>
  /** Milliseconds for one batch, and for the import of the file before the first; default 10,000. */
  readonly patience?: number
}

export class Checker {
  readonly #options: CheckerOptions
  readonly #schemas: ReadonlySet<string>
  #waiting: Question[] = []
  #asked: Question[] = []
  #thread: Worker | undefined
  #timer: NodeJS.Timeout | undefined
  #due = false
  #ended: OffstageError | undefined

  constructor(options: CheckerOptions) {
    this.#options = options
    this.#schemas = new Set(options.worker.schemas)
  }

  /**
   * Resolves when the argument fits, or its method has no schema; undefined when that can be said at once. Rejects with
   * BAD_ARGUMENT, or with why it cannot be checked, and nothing has run then.
   */
  check(method: string, argument: Uint8Array): Promise<void> | undefined {
    const idle = this.#asked.length === 0 && this.#waiting.length === 0
    // Behind others it waits for its turn: jobs keep the order in which they came.
    if (idle && !this.#schemas.has(method)) return undefined
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ method, argument, resolve, reject })
      this.#plan()
    })
  }

  /** Ends its thread; what was asked is refused for this reason. */
  async end(reason: OffstageError): Promise<void> {
    this.#ended = reason
    const left = [...this.#asked, ...this.#waiting]
    this.#waiting = []
    this.#asked = []
    for (const { reject } of left) reject(reason)
    await this.#drop()
  }

  #plan(): void {
    if (this.#due || this.#asked.length > 0) return
    this.#due = true
    setImmediate(() => {
      this.#due = false
      this.#ask()
    })
  }

  #ask(): void {
    if (this.#ended !== undefined || this.#waiting.length === 0) return
    this.#asked = this.#waiting.splice(0, countOf(this.#waiting))
    const batch = batchOf(this.#asked)
    this.#thread ??= this.#start()
    const { patience = PATIENCE } = this.#options
    this.#timer = setTimeout(() => {
      // The next batch finds a new thread.
      void this.#drop()
      this.#failed(`there was no answer within ${patience / 1_000} s`)
    }, patience)
    this.#thread.postMessage(batch, [batch.bytes.buffer as ArrayBuffer])
  }

  #start(): Worker {
    const { file, overrides, worker } = this.#options
    const data: CheckerData = { file, overrides }
    const thread = new Worker(new URL('./thread-main.js', import.meta.url), {
      name: `${worker.name} schemas`,
      workerData: data,
      env: { ...process.env, ...worker.env },
      // What the file writes at import, its worker has written already.
      stdout: true,
      stderr: true,
      ...(worker.memoryLimit > 0 ? { resourceLimits: { maxOldGenerationSizeMb: worker.memoryLimit } } : {}),
    })
    thread.stdout.resume()
    thread.stderr.resume()
    thread.unref()
    let why = 'its thread ended by itself'
    thread.on('error', (error: unknown) => {
      why = error instanceof Error ? error.message : String(error)
    })
    thread.on('message', (answer: CheckAnswer) => {
      if (thread === this.#thread) this.#answered(answer)
    })
    thread.on('exit', () => {
      if (thread !== this.#thread) return
      this.#thread = undefined
      this.#failed(why)
    })
    return thread
  }

  #answered(answer: CheckAnswer): void {
    this.#end((question, i) => {
      const failure = answer.get(i)
      if (failure === undefined) question.resolve()
      else question.reject(decodeFailure(failure))
    })
  }

  #failed(why: string): void {
    const message = `arguments of ${this.#options.worker.name} cannot be checked against their schemas: ${why}`
    this.#end(({ reject }) => reject(new WorkerCrashed(message, { executed: 'no', retryable: true })))
  }

  #end(settle: (question: Question, index: number) => void): void {
    clearTimeout(this.#timer)
    const asked = this.#asked
    this.#asked = []
    asked.forEach(settle)
    if (this.#waiting.length > 0) this.#plan()
  }

  async #drop(): Promise<void> {
    clearTimeout(this.#timer)
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate()
  }
}

/** How many of them make a batch: one at least. */
function countOf(questions: readonly Question[]): number {
  let bytes = 0
  const end = questions.findIndex(({ argument }, i) => {
    bytes += argument.length
    return i > 0 && (i >= MOST_QUESTIONS || bytes > MOST_BYTES)
  })
  return end < 0 ? questions.length : end
}

/** In memory of its own, which can be handed over. */
function batchOf(questions: readonly Question[]): CheckBatch {
  const bytes = new Uint8Array(questions.reduce((sum, { argument }) => sum + argument.length, 0))
  const ends: number[] = []
  let at = 0
  for (const { argument } of questions) {
    bytes.set(argument, at)
    at += argument.length
    ends.push(at)
  }
  return { methods: questions.map(({ method }) => method), ends, bytes }
}
