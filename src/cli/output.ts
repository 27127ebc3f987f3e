/** Standard output, written at once, so that a reader that has left is noticed. */
import { writeSync } from 'node:fs'
import { errorCode } from '../persistence/journal/file-system.js'

const STANDARD_OUTPUT = 1
const CHUNK = 64 * 1024
/** Milliseconds until the reader of a full pipe is tried again. */
const PAUSE = 5

/** The reader has left, as `head` does: no reason to complain, and none to go on. */
export class ReaderLeft extends Error {}

export class Output {
  #waiting: string[] = []
  #length = 0

  line(text: string): void {
    this.#waiting.push(text, '\n')
    this.#length += text.length + 1
    if (this.#length >= CHUNK) this.flush()
  }

  flush(): void {
    let bytes = Buffer.from(this.#waiting.join(''))
    this.#waiting = []
    this.#length = 0
    while (bytes.length > 0) bytes = bytes.subarray(tryWrite(bytes))
  }
}

/** All at once, with a line break behind it. Throws `ReaderLeft`. */
export function print(text: string): void {
  const output = new Output()
  output.line(text)
  output.flush()
}

function tryWrite(bytes: Buffer): number {
  try {
    return writeSync(STANDARD_OUTPUT, bytes)
  } catch (error) {
    if (errorCode(error) === 'EPIPE') throw new ReaderLeft()
    if (errorCode(error) !== 'EAGAIN') throw error
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
    return 0
  }
}
