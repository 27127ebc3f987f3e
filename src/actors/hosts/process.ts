/**
 * The host in a process of its own. Beyond what a thread does for it, it ends alone when native code aborts or
 * crashes, when the machine kills it for its memory, and when the worker's own file descriptors, environment or
 * working directory are in the way of others.
 *
 * process-fds.ts lists what the two have in common. Batches and not Node's own IPC: measured with 8 KiB batches, a round trip takes half as long.
 *
 * The process leads a group of its own. So a terminal's Ctrl-C is not for it, and what it has started ends with it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Gauge } from '../gauge.js'
import { BatchReader, batchHead } from './batches.js'
import { GaugeFile } from './gauge-file.js'
import type { Host, HostEvents, HostOptions } from './host.js'
import { lines } from './lines.js'
import { exitReason, isFatal } from './process-exit.js'
import { Fd } from './process-fds.js'

const PROGRAM = fileURLToPath(new URL('./process-main.js', import.meta.url))

/**
 * Milliseconds that the streams of a process may stay open after its end, which happens when something that it
 * has started, and that has left its group, holds them.
 */
const STREAMS_CLOSE_WITHIN = 1000

export class ProcessHost implements Host {
  readonly gauge: Gauge
  readonly #child: ChildProcess
  readonly #input: Writable | undefined
  readonly #ended: Promise<void>
  #ending = false

  /** Throws when the process cannot be started at all. */
  constructor(options: HostOptions, events: HostEvents) {
    const file = new GaugeFile()
    this.gauge = new Gauge(file)
    try {
      this.#child = spawn(process.execPath, [...nodeFlags(options), PROGRAM, options.name], {
        stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', file.fd],
        env: { ...process.env, ...options.env },
        detached: true,
        windowsHide: true,
      })
    } catch (error) {
      file.close()
      throw error
    }
    const child = this.#child
    // Without a single free descriptor there are no streams either; the error event says why.
    const streams = (child.stdio as readonly (Duplex | null)[] | undefined) ?? []
    const [, stdout, stderr] = streams
    const input = streams[Fd.TO_HOST]
    const output = streams[Fd.FROM_HOST]
    const lifeline = streams[Fd.LIFELINE]
    this.#input = input ?? undefined
    let fatal: string | undefined
    const reader = new BatchReader(events.batch)
    output?.on('data', (chunk: Buffer) => reader.push(chunk))
    const outputs = [
      stdout && lines(stdout, (text) => events.line('stdout', text)),
      stderr &&
        lines(stderr, (text) => {
          if (isFatal(text)) fatal = text
          events.line('stderr', text)
        }),
    ]
    for (const stream of [stdout, stderr, input, output, lifeline]) stream?.on('error', ignoreBrokenPipe)
    let failure: Error | undefined
    child.on('error', (error) => {
      failure ??= error
    })
    const end: { code: number | null; signal: NodeJS.Signals | null } = { code: null, signal: null }
    let patience: NodeJS.Timeout | undefined
    child.once('exit', (code, signal) => {
      Object.assign(end, { code, signal })
      this.#kill()
      for (const stream of [input, lifeline]) stream?.destroy()
      patience = setTimeout(() => {
        for (const stream of [stdout, stderr, output]) stream?.destroy()
      }, STREAMS_CLOSE_WITHIN)
    })
    this.#ended = new Promise((resolve) => {
      const over = () => {
        clearTimeout(patience)
        for (const flush of outputs) flush?.()
        const lastWords = file.lastWords()
        file.close()
        resolve()
        const { memoryLimit } = options
        const reason = exitReason({ ...end, lastWords, fatal, ended: this.#ending, memoryLimit })
        const unforced = failure === undefined && !this.#ending && lastWords === undefined && fatal === undefined
        events.exit(failure ?? reason, unforced && end.code === 0)
      }
      if (child.pid === undefined) child.once('error', () => setImmediate(over))
      else child.once('close', over)
    })
  }

  post(batch: Uint8Array): void {
    const input = this.#input
    if (input === undefined || input.destroyed) return
    input.cork()
    input.write(batchHead(batch))
    input.write(batch)
    input.uncork()
  }

  end(): Promise<void> {
    this.#ending = this.#child.exitCode === null && this.#child.signalCode === null
    if (this.#ending) this.#kill()
    return this.#ended
  }

  /** The process and what it has started. */
  #kill(): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** What is right for one process only, or is not meant for a worker. */
const NOT_INHERITED = /^(--inspect|--watch|--test$|--eval$|--print$|--check$|-[epc]$|-pe$)/

function nodeFlags({ memoryLimit, execArgv }: HostOptions): string[] {
  const inherited = process.execArgv.filter(
    (flag, i, all) => !NOT_INHERITED.test(flag) && !/^(--eval|--print|-e|-p|-pe)$/.test(all[i - 1] ?? ''),
  )
  const limit = memoryLimit > 0 ? [`--max-old-space-size=${memoryLimit}`] : []
  return [...inherited, ...execArgv, ...limit]
}

function ignoreBrokenPipe(): void {
  // The process is gone or about to go; its exit says why.
}
