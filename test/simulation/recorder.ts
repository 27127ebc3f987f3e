/** Writes the history of a run, and keeps what happened in its order for a person to read. */
import { createHash } from 'node:crypto'
import type { Answer, Call, HistoryEvent, IssuedJob } from '../history/events.js'
import { describeEvent } from '../history/timeline.js'
import type { VirtualTime } from './virtual-time.js'

export class Recorder {
  readonly history: HistoryEvent[] = []
  /** Calls without an answer so far. */
  readonly inFlight = new Set<number>()
  readonly #time: VirtualTime
  readonly #print: ((line: string) => void) | undefined
  readonly #hash = createHash('sha256')
  #calls = 0
  #runs = 0

  constructor(time: VirtualTime, print?: (line: string) => void) {
    this.#time = time
    this.#print = print
  }

  get calls(): number {
    return this.#calls
  }

  /** Of everything that happened, on the disk and above it. */
  get digest(): string {
    return this.#hash.copy().digest('hex')
  }

  line(text: string): void {
    this.#hash.update(`${text}\n`)
    this.#print?.(text)
  }

  invoke(what: Call): number {
    const call = ++this.#calls
    this.inFlight.add(call)
    this.#add({ type: 'invoke', at: this.#time.now, call, what })
    return call
  }

  /** False: the call was given up before. */
  ok(call: number, answer: Answer): boolean {
    if (!this.inFlight.delete(call)) return false
    this.#add({ type: 'ok', at: this.#time.now, call, answer })
    return true
  }

  failed(call: number, why: string, certain: boolean): boolean {
    if (!this.inFlight.delete(call)) return false
    this.#add({ type: certain ? 'fail' : 'info', at: this.#time.now, call, why })
    return true
  }

  start({ id, attempt, token }: IssuedJob): string {
    const run = `run-${++this.#runs}`
    this.#add({ type: 'start', at: this.#time.now, run, id, attempt, token })
    return run
  }

  end(run: string): void {
    this.#add({ type: 'end', at: this.#time.now, run })
  }

  /** What is in flight stays without an answer. */
  crash(power: boolean): void {
    for (const call of [...this.inFlight]) this.failed(call, 'the store crashed', false)
    this.#add({ type: 'crash', at: this.#time.now, power })
  }

  add(event: HistoryEvent): void {
    this.#add(event)
  }

  #add(event: HistoryEvent): void {
    this.history.push(event)
    this.line(describeEvent(this.history.length - 1, event))
  }
}
