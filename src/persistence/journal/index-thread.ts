/** Indexes some segments, slowly enough not to be noticed, and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { realFs } from './file-system.js'
import type { SegmentFile } from './segment.js'
import { indexSegment, type SegmentProblem } from './segment-index.js'

export interface IndexThreadData {
  readonly folder: string
  readonly uuid: Uint8Array
  readonly files: readonly SegmentFile[]
}

export interface IndexReport {
  /** Name of the segment's file. */
  readonly file: string
  readonly problem: SegmentProblem | undefined
}

/** For the time that a segment takes, so many times as much is left to others. */
const PAUSE_FACTOR = 3

const { folder, uuid, files } = workerData as IndexThreadData
const sleeper = new Int32Array(new SharedArrayBuffer(4))

let pause = 0
for (const file of files) {
  // Not after the last one: a thread that sleeps keeps the memory of what it has read.
  Atomics.wait(sleeper, 0, 0, pause)
  const started = performance.now()
  const report: IndexReport = { file: file.name, problem: indexSegment(realFs, folder, uuid, file) }
  parentPort!.postMessage(report)
  pause = PAUSE_FACTOR * (performance.now() - started)
}
