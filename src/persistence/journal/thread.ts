/** The journal thread: it waits in `Atomics.wait`, not in an event loop, and writes what is published. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Chunk, Control } from './chunk.js'
import { CommitLoop, type Report } from './commit-loop.js'
import { realFs } from './file-system.js'
import { RecordFeed } from './record-feed.js'
import { Reserve } from './reserve.js'
import { type JournalEnd, JournalWriter } from './writer.js'

export interface ThreadData {
  readonly control: SharedArrayBuffer
  /** Brings the chunks, as shared memory. */
  readonly port: MessagePort
  readonly end: JournalEnd
  readonly folder: string
  readonly segmentBytes: number
  readonly idleMs: number
  readonly reserveBytes: number
}

const data = workerData as ThreadData
const report = (value: Report) => parentPort!.postMessage(value)

try {
  run()
} catch (error) {
  report({ failed: error instanceof Error ? error.message : String(error) })
}
data.port.close()

function run(): void {
  const control = new Control(data.control)
  const writer = new JournalWriter(
    { system: realFs, folder: data.folder, segmentBytes: data.segmentBytes, clock: Date.now },
    data.end,
  )
  const feed = new RecordFeed(nextChunk)
  const reserve = new Reserve(realFs, data.folder, data.reserveBytes)
  const loop = new CommitLoop({ feed, writer, control, reserve, nextSeq: data.end.nextSeq }, report)
  for (;;) {
    const wakes = control.wakes
    if (loop.step()) continue
    if (control.stopped) {
      loop.close()
      return
    }
    if (!control.wait(wakes, loop.unproven ? data.idleMs : Number.POSITIVE_INFINITY)) loop.idle()
  }
}

function nextChunk(): Chunk | undefined {
  const received = receiveMessageOnPort(data.port) as { message: SharedArrayBuffer } | undefined
  return received === undefined ? undefined : new Chunk(received.message)
}
