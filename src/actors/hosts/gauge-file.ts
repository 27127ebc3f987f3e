/**
 * What a process leaves behind: a small file that the supervisor makes and the process inherits, with the words
 * of its gauge and, after them, its last words. The file has no name any more when the process starts, so nothing
 * stays on the disk, whoever dies first.
 *
 * Why a file: `pwrite` returns when the bytes are in the kernel's page cache, which belongs to the machine and
 * not to the process. So a message that is counted there before its method is called stays counted, whatever the
 * method does: `process.exit()`, SIGKILL, an abort in native code, a full heap. And a count that is not there
 * when the process is gone was never published, so that message's method was never called and it can run
 * again. While the process lives, `pread` sees every `pwrite` that has returned, without waiting for anybody, also
 * when the process hangs in a loop: the supervisor may tell a caller "not started" on the spot, because the process
 * looks at the clock only after it has counted (Mailbox.expire). A pipe could promise the first, not the second:
 * what lies in it unread is not known.
 *
 * The price is one system call a turn (measured: 1 to 4 µs).
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GAUGE_BYTES, type GaugeMemory } from '../gauge.js'

const LENGTH_BYTES = 4
const WORDS_AT = GAUGE_BYTES + LENGTH_BYTES

/** Last words are cut here, in bytes. */
const LONGEST_WORDS = 32 * 1024

/** A file system in memory, where the words are never written to a disk; not every machine has one. */
const IN_MEMORY = '/dev/shm'

/** The supervisor's side. */
export class GaugeFile implements GaugeMemory {
  readonly fd: number
  readonly buffer = new ArrayBuffer(GAUGE_BYTES)
  readonly #bytes = Buffer.from(this.buffer)
  readonly #again = Buffer.alloc(GAUGE_BYTES)
  #open = true

  constructor() {
    this.fd = openUnnamed()
    writeSync(this.fd, Buffer.alloc(WORDS_AT), 0, WORDS_AT, 0)
  }

  publish(): void {
    // Only the host writes.
  }

  /** A reading may fall into a write: it counts once a second one says the same. */
  refresh(start: number, end: number): void {
    if (!this.#open) return
    readSync(this.fd, this.#bytes, start, end - start, start)
    for (;;) {
      readSync(this.fd, this.#again, start, end - start, start)
      if (this.#again.compare(this.#bytes, start, end, start, end) === 0) return
      this.#again.copy(this.#bytes, start, start, end)
    }
  }

  /** What the process said of its end, if it could. */
  lastWords(): LastWords | undefined {
    const length = Buffer.alloc(LENGTH_BYTES)
    readSync(this.fd, length, 0, LENGTH_BYTES, GAUGE_BYTES)
    const bytes = Buffer.alloc(Math.min(length.readUInt32LE(0), LONGEST_WORDS))
    if (bytes.length === 0) return undefined
    readSync(this.fd, bytes, 0, bytes.length, WORDS_AT)
    try {
      return asLastWords(JSON.parse(bytes.toString('utf8')))
    } catch {
      // The worker's code could write to this file too. Then nothing is known.
      return undefined
    }
  }

  /** What is known now stays known. */
  close(): void {
    if (!this.#open) return
    this.refresh(0, GAUGE_BYTES)
    this.#open = false
    closeSync(this.fd)
  }
}

/** The process's side. */
export function gaugeMemory(fd: number): GaugeMemory {
  const buffer = new ArrayBuffer(GAUGE_BYTES)
  const bytes = new Uint8Array(buffer)
  return {
    buffer,
    publish: (start, end) => void writeSync(fd, bytes, start, end - start, start),
    refresh: () => undefined,
  }
}

export interface LastWords {
  name: string
  message: string
  stack?: string
}

/** The process's side: why it is about to end. */
export function writeLastWords(fd: number, words: LastWords): void {
  const { name, message, stack } = words
  let text = JSON.stringify({ name, message, stack })
  if (Buffer.byteLength(text) > LONGEST_WORDS)
    text = JSON.stringify({ name: name.slice(0, 256), message: message.slice(0, 1024) })
  const bytes = Buffer.alloc(LENGTH_BYTES + Buffer.byteLength(text))
  bytes.writeUInt32LE(bytes.length - LENGTH_BYTES, 0)
  bytes.write(text, LENGTH_BYTES)
  writeSync(fd, bytes, 0, bytes.length, GAUGE_BYTES)
}

function asLastWords(value: unknown): LastWords | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, message, stack } = value as Record<string, unknown>
  if (typeof name !== 'string' || typeof message !== 'string') return undefined
  return { name, message, ...(typeof stack === 'string' ? { stack } : {}) }
}

/** A file for reading and writing that nobody else can open. */
function openUnnamed(): number {
  const name = `offstage-${process.pid}-${crypto.randomUUID()}`
  let path = join(IN_MEMORY, name)
  let fd: number
  try {
    fd = openSync(path, 'wx+', 0o600)
  } catch {
    // Not this kind of machine, or not allowed: any other place does.
    path = join(tmpdir(), name)
    fd = openSync(path, 'wx+', 0o600)
  }
  unlinkSync(path)
  return fd
}
