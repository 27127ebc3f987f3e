/**
 * The host in a thread of its own: an endless loop, an uncaught error, `process.exit()` or running out of
 * memory in the worker ends this thread and nothing else.
 */

import { type TransferListItem, Worker } from 'node:worker_threads'
import { GAUGE_BYTES, Gauge, sharedMemory } from '../gauge.js'
import type { Host, HostEvents, HostOptions } from './host.js'
import { lines } from './lines.js'

/** What the thread is started with. */
export interface ThreadData {
  gauge: SharedArrayBuffer
}

/** Below this many bytes, copying is cheaper than handing over the memory. */
const TRANSFER_FROM = 1024

export class ThreadHost implements Host {
  readonly gauge: Gauge
  readonly #worker: Worker
  readonly #ended: Promise<void>

  constructor(options: HostOptions, events: HostEvents) {
    const memory = new SharedArrayBuffer(GAUGE_BYTES)
    this.gauge = new Gauge(sharedMemory(memory))
    const data: ThreadData = { gauge: memory }
    this.#worker = new Worker(new URL('./thread-main.js', import.meta.url), {
      name: options.name,
      workerData: data,
      env: { ...process.env, ...options.env },
      stdout: true,
      stderr: true,
      ...(options.memoryLimit > 0 ? { resourceLimits: { maxOldGenerationSizeMb: options.memoryLimit } } : {}),
    })
    let failure: Error | undefined
    let ending = false
    this.#worker.on('message', (batch: Uint8Array) => events.batch(batch))
    this.#worker.on('messageerror', (error) => {
      failure ??= error
    })
    this.#worker.on('error', (error: unknown) => {
      failure ??= error instanceof Error ? error : new Error(`the worker threw ${String(error)}, which is not an Error`)
    })
    const outputs = [
      lines(this.#worker.stdout, (text) => events.line('stdout', text)),
      lines(this.#worker.stderr, (text) => events.line('stderr', text)),
    ]
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        for (const flush of outputs) flush()
        const why = ending ? 'ended by the supervisor' : `the thread ended by itself (process.exit, code ${code})`
        resolve()
        events.exit(failure ?? new Error(why), failure === undefined && !ending && code === 0)
      })
    })
    this.end = () => {
      ending = true
      void this.#worker.terminate()
      return this.#ended
    }
  }

  readonly end: () => Promise<void>

  post(batch: Uint8Array): void {
    postBatch(this.#worker, batch)
  }
}

interface Port {
  postMessage(value: unknown, transfer?: readonly TransferListItem[]): void
}

export function postBatch(port: Port, batch: Uint8Array): void {
  if (batch.byteLength < TRANSFER_FROM) port.postMessage(batch)
  else port.postMessage(batch, [batch.buffer as ArrayBuffer])
}
