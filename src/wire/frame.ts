/**
 * The frame: a fixed 12-byte header, then the body. docs/PROTOCOL.md has the same table.
 *
 * | offset | size | field    | meaning                                              |
 * |--------|------|----------|------------------------------------------------------|
 * | 0      | 4    | len      | length of the body in bytes, big-endian              |
 * | 4      | 1    | type     | one of `FrameType`                                   |
 * | 5      | 1    | flags    | 0 in version 1                                       |
 * | 6      | 2    | reserved | 0                                                    |
 * | 8      | 4    | corr     | which call it belongs to; 0 for the connection itself |
 */
import { ProtocolError } from '../errors.js'

export const HEADER_BYTES = 12

export const FrameType = {
  HELLO: 1,
  AUTH: 2,
  READY: 3,
  CALL: 4,
  ACCEPTED: 5,
  RESULT: 6,
  ERROR: 7,
  CANCEL: 8,
  CREDIT: 9,
  PING: 10,
  PONG: 11,
  GOAWAY: 12,
} as const

const LAST_WIRE_TYPE = 12

/** Correlation numbers are 32-bit and never reused within a connection. */
export const MAX_CORR = 0xffff_ffff

const NAMES = new Map<number, string>(Object.entries(FrameType).map(([name, type]) => [type, name]))

export function frameName(type: number): string {
  return NAMES.get(type) ?? `type ${type}`
}

export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export function writeHeader(bytes: Uint8Array, at: number, type: number, flags: number, corr: number, len: number) {
  writeU32(bytes, at, len)
  bytes[at + 4] = type
  bytes[at + 5] = flags
  bytes[at + 6] = 0
  bytes[at + 7] = 0
  writeU32(bytes, at + 8, corr)
}

/**
 * Called for each whole frame. The body is `bytes.subarray(start, end)` and belongs to the receive buffer:
 * whoever keeps it past the call copies it.
 */
export type FrameHandler = (
  type: number,
  flags: number,
  corr: number,
  bytes: Buffer,
  start: number,
  end: number,
) => void

export interface FrameRules {
  /** Longest body, in bytes; checked on the header, before any of the body is buffered. */
  maxBody: number
  /** Highest frame type: the wire's own, or more for a host's channel. */
  maxType?: number
}

/** Cuts a stream of chunks into frames. Incomplete input waits; a broken header throws `ProtocolError`. */
export class FrameReader {
  /** May be raised once the peer is known. */
  maxBody: number
  readonly #maxType: number
  readonly #handler: FrameHandler
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #needed = HEADER_BYTES

  constructor(rules: FrameRules, handler: FrameHandler) {
    this.maxBody = rules.maxBody
    this.#maxType = rules.maxType ?? LAST_WIRE_TYPE
    this.#handler = handler
  }

  /** Bytes held back because their frame is not whole yet. */
  get incomplete(): number {
    return this.#waitingBytes
  }

  push(chunk: Buffer): void {
    let bytes = chunk
    if (this.#waitingBytes > 0) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
      if (this.#waitingBytes < this.#needed) return
      bytes = Buffer.concat(this.#waiting, this.#waitingBytes)
      this.#waiting = []
      this.#waitingBytes = 0
    }
    let at = 0
    this.#needed = HEADER_BYTES
    while (bytes.length - at >= HEADER_BYTES) {
      const len = readU32(bytes, at)
      const type = bytes[at + 4]!
      this.#check(type, len, (bytes[at + 6]! << 8) | bytes[at + 7]!)
      const end = at + HEADER_BYTES + len
      if (end > bytes.length) {
        this.#needed = HEADER_BYTES + len
        break
      }
      this.#handler(type, bytes[at + 5]!, readU32(bytes, at + 8), bytes, at + HEADER_BYTES, end)
      at = end
    }
    if (at < bytes.length) {
      this.#waiting.push(at === 0 ? bytes : bytes.subarray(at))
      this.#waitingBytes = bytes.length - at
    }
  }

  #check(type: number, len: number, reserved: number): void {
    if (type === 0 || type > this.#maxType) {
      throw new ProtocolError(
        `frame type ${type} is unknown: this side speaks types 1 to ${this.#maxType}`,
        {},
        'UNSUPPORTED',
      )
    }
    if (reserved !== 0) throw new ProtocolError(`the reserved bytes of a ${frameName(type)} frame are not 0`)
    if (len > this.maxBody) {
      throw new ProtocolError(
        `a ${frameName(type)} frame of ${len} bytes is over the limit of ${this.maxBody} bytes`,
        {},
        'FRAME_TOO_LARGE',
      )
    }
    if (len === 0 && type !== FrameType.PING && type !== FrameType.PONG && type !== FrameType.CREDIT) {
      throw new ProtocolError(`a ${frameName(type)} frame needs a body`)
    }
  }
}
