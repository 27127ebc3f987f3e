/** The bare prototype's side of the enqueue rows, counted in the end like ours. */
import { readFileSync } from 'node:fs'
import { argumentFor } from '../argument.js'
import { FloorClient } from '../floors/client.js'
import { eachFrame } from '../floors/frames.js'
import type { ServerProcess } from '../processes.js'
import { startFloor } from './context.js'
import { BULK, type Enqueuer } from './enqueuer.js'
import { expectOnDisk } from './journal.js'

export class PrototypeEnqueuer implements Enqueuer {
  readonly name: string
  readonly bulkInFlight = 2
  readonly #file: string
  readonly #server: ServerProcess
  readonly #client: FloorClient
  #enqueued = 0

  private constructor(name: string, file: string, server: ServerProcess, client: FloorClient) {
    this.name = name
    this.#file = file
    this.#server = server
    this.#client = client
  }

  /** `inline`: one that syncs in its event loop. */
  static async start(file: string, inline = false): Promise<PrototypeEnqueuer> {
    const server = await startFloor('prototype_server.js', file, ...(inline ? ['inline'] : []))
    const name = inline ? 'prototype without a hop' : 'bare prototype'
    return new PrototypeEnqueuer(name, file, server, await FloorClient.connect(server.port))
  }

  async enqueue(): Promise<void> {
    this.#expect(1, await this.#client.call(jobFor(this.#enqueued++)))
  }

  async enqueueBulk(): Promise<void> {
    const jobs = Array.from({ length: BULK }, () => jobFor(this.#enqueued++))
    this.#expect(BULK, await this.#client.call(jobs))
  }

  async close(): Promise<void> {
    this.#client.close()
    await this.#server.stop()
    expectOnDisk(this.name, this.#enqueued, countAppended(this.#file))
  }

  #expect(jobs: number, answer: unknown): void {
    if (answer !== jobs) throw new Error(`the ${this.name} answered ${String(answer)} to ${jobs} jobs`)
  }
}

function jobFor(n: number): Record<string, unknown> {
  return { worker: 'bench_worker', method: 'noop', jobKey: `job-${n}`, arg: argumentFor(n) }
}

/** Messages in the prototype's file are `[n, job]` or `[n, [job…]]`: counted by the keys in them. */
function countAppended(file: string): number {
  let jobs = 0
  eachFrame(readFileSync(file), (bytes, start, end) => {
    for (let at = bytes.indexOf('job-', start); at !== -1 && at < end; at = bytes.indexOf('job-', at + 1)) jobs++
  })
  return jobs
}
