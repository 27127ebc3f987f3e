/**
 * The least that messages on a stream need: a length (u32, big endian) before each, and one write for all
 * that were added in one turn of the event loop. What the floors use, on both sides.
 */
import { Encoder } from 'cbor-x'

const LENGTH_BYTES = 4

export const cbor = new Encoder({ useRecords: false })

/** Calls `found(bytes, start, end)` for each whole message and returns the offset behind the last one. */
export function eachFrame(bytes: Buffer, found: (bytes: Buffer, start: number, end: number) => void): number {
  let at = 0
  while (at + LENGTH_BYTES <= bytes.length) {
    const end = at + LENGTH_BYTES + bytes.readUInt32BE(at)
    if (end > bytes.length) break
    found(bytes, at + LENGTH_BYTES, end)
    at = end
  }
  return at
}

/** Keeps the part of a message that has come until the rest comes. */
export class Reassembly {
  #rest: Buffer | undefined

  /** The bytes so far: `eachFrame` over them, then `keep` from where it stopped. */
  join(chunk: Buffer): Buffer {
    return this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
  }

  keep(bytes: Buffer, from: number): void {
    this.#rest = from === bytes.length ? undefined : bytes.subarray(from)
  }
}

/** Messages of one turn, handed on as one buffer when the turn ends. */
export class TurnBatch {
  #bytes = Buffer.allocUnsafe(64 * 1024)
  #length = 0
  readonly #send: (batch: Buffer) => void

  /** `send` owns the buffer that it gets. */
  constructor(send: (batch: Buffer) => void) {
    this.#send = send
  }

  add(message: unknown): void {
    const body = cbor.encode(message)
    const at = this.#reserve(LENGTH_BYTES + body.length)
    this.#bytes.writeUInt32BE(body.length, at)
    body.copy(this.#bytes, at + LENGTH_BYTES)
  }

  /** Adds messages that are framed already. */
  addFramed(bytes: Buffer, start: number, end: number): void {
    const at = this.#reserve(end - start)
    bytes.copy(this.#bytes, at, start, end)
  }

  #reserve(bytes: number): number {
    const at = this.#length
    if (at === 0) setImmediate(this.#flush)
    this.#length = at + bytes
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(this.#length * 2)
      this.#bytes.copy(larger, 0, 0, at)
      this.#bytes = larger
    }
    return at
  }

  readonly #flush = (): void => {
    const batch = Buffer.allocUnsafeSlow(this.#length)
    this.#bytes.copy(batch, 0, 0, this.#length)
    this.#length = 0
    this.#send(batch)
  }
}
