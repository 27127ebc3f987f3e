/**
 * How the store reaches whoever writes its batches: the journal thread, or, for a file system that a test
 * brings, the same loop in the main thread.
 */
import { MessageChannel, Worker } from 'node:worker_threads'
import { type Chunk, Control } from './chunk.js'
import { CommitLoop, type Report } from './commit-loop.js'
import type { JournalFs } from './file-system.js'
import { RecordFeed } from './record-feed.js'
import { Reserve } from './reserve.js'
import type { ThreadData } from './thread.js'
import { type JournalEnd, JournalWriter } from './writer.js'

export interface LinkOptions {
  readonly folder: string
  readonly segmentBytes: number
  readonly idleMs: number
  readonly reserveBytes: number
  readonly clock: () => number
}

export interface Link {
  readonly control: Control
  /** Hands over the chunk that comes after those before. */
  send(chunk: Chunk): void
  /** Something was published. */
  wake(): void
  /** Ends the journal cleanly after what is published; 'closed' is reported. */
  stop(): void
  /** Ends without another write; resolves when nothing runs any more. */
  kill(): Promise<void>
}

export function threadLink(options: LinkOptions, end: JournalEnd, report: (report: Report) => void): Link {
  const control = new Control()
  const { port1, port2 } = new MessageChannel()
  const { folder, segmentBytes, idleMs, reserveBytes } = options
  const workerData: ThreadData = {
    control: control.shared,
    port: port2,
    end,
    folder,
    segmentBytes,
    idleMs,
    reserveBytes,
  }
  const worker = new Worker(new URL('./thread.js', import.meta.url), {
    name: 'offstage-journal',
    workerData,
    transferList: [port2],
    execArgv: [],
  })
  let ended = false
  const exited = new Promise<void>((resolve) =>
    worker.once('exit', (code) => {
      port1.close()
      resolve()
      if (!ended) report({ failed: `the journal thread ended with code ${code}` })
    }),
  )
  worker.on('message', (value: Report) => {
    if (typeof value !== 'number') ended ||= value === 'closed' || 'failed' in value
    report(value)
  })
  worker.on('error', (error) => {
    ended = true
    report({ failed: error.message })
  })
  return {
    control,
    send: (chunk) => port1.postMessage(chunk.shared),
    wake: () => control.wake(),
    stop: () => control.stop(),
    async kill() {
      ended = true
      await worker.terminate()
      await exited
    },
  }
}

export function inlineLink(
  options: LinkOptions & { system: JournalFs },
  end: JournalEnd,
  report: (report: Report) => void,
): Link {
  const control = new Control()
  const chunks: Chunk[] = []
  const writer = new JournalWriter(options, end)
  const feed = new RecordFeed(() => chunks.shift())
  const reserve = new Reserve(options.system, options.folder, options.reserveBytes)
  const loop = new CommitLoop({ feed, writer, control, reserve, nextSeq: end.nextSeq }, report)
  let ended = false
  let idle: NodeJS.Timeout | undefined
  const run = (work: () => void) => {
    if (ended) return
    clearTimeout(idle)
    try {
      work()
      if (loop.unproven && !ended) idle = setTimeout(run, options.idleMs, () => loop.idle()).unref()
    } catch (error) {
      ended = true
      report({ failed: error instanceof Error ? error.message : String(error) })
    }
  }
  const drain = () => {
    while (loop.step());
  }
  return {
    control,
    send: (chunk) => chunks.push(chunk),
    wake: () => run(drain),
    stop: () =>
      run(() => {
        drain()
        ended = true
        loop.close()
      }),
    async kill() {
      ended = true
      clearTimeout(idle)
    },
  }
}
