/** The bench's end of processes that measure themselves. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Delays } from './loop_delays.js'
import { trackProcess } from './processes.js'

export interface Answers {
  /** Bytes after a garbage collection: of the process, and of V8's heap with the buffers that hang on it. */
  memory: { readonly rss: number; readonly heap: number }
  /** Since the last time this was asked. */
  delays: Delays
  /** ms since its start: that it used of the CPU, in all its threads, and that went by. */
  cpu: { readonly cpu: number; readonly wall: number }
  /** It has stopped in good order. */
  stop: true
}

export type Question = keyof Answers

/** Our server. */
export class MeasuredServer {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(workers: string, data: string): Promise<MeasuredServer> {
    const child = start('measured_server.js', [workers, data], ['--expose-gc'])
    const { port } = await nextMessage<{ port: number }>(child)
    return new MeasuredServer(child, port)
  }

  ask<Q extends Question>(question: Q): Promise<Answers[Q]> {
    const answer = nextMessage<Answers[Q]>(this.#child)
    this.#child.send(question)
    return answer
  }

  async stop(): Promise<void> {
    await this.ask('stop')
    await end(this.#child)
  }
}

/** A process that does nothing. */
export class IdleProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(): Promise<IdleProcess> {
    const child = start('floors/idle_server.js')
    await nextMessage(child)
    return new IdleProcess(child)
  }

  delays(): Promise<Delays> {
    const answer = nextMessage<Delays>(this.#child)
    this.#child.send('delays')
    return answer
  }

  stop(): Promise<void> {
    return end(this.#child)
  }
}

function start(script: string, args: readonly string[] = [], execArgv: string[] = []): ChildProcess {
  return trackProcess(fork(fileURLToPath(new URL(script, import.meta.url)), args, { execArgv }))
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const heard = new AbortController()
  const { signal } = heard
  const ended = once(child, 'exit', { signal }).then(([code, by]) => {
    throw new Error(`a process that measures itself ended with ${code ?? by}`)
  })
  try {
    const [message] = await Promise.race([once(child, 'message', { signal }), ended])
    return message
  } finally {
    ended.catch(() => {})
    heard.abort()
  }
}
