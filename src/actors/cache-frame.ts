/** The CACHE frame of messages.ts: one changed entry of a worker's cache. */
import { decodeValue, encodeValue } from '../wire/codec.js'
import { HEADER_BYTES, writeHeader } from '../wire/frame.js'
import type { Outbox } from '../wire/outbox.js'
import { validate } from '../wire/validate.js'
import { HostFrame, TIMED } from './messages.js'

export interface CacheChange {
  readonly key: string
  /** In CBOR; undefined: the entry is gone. */
  readonly value: Uint8Array | undefined
  /** Milliseconds that the entry is kept; 0: as long as there is room. */
  readonly ttl: number
  /**
   * A worker counts its changes from 1. The supervisor gives the number back with an entry that it loses, so that the worker
   * keeps one that it has set since; 0 for what comes from outside.
   */
  readonly number: number
}

const TTL_BYTES = 8

export function writeCacheFrame(out: Outbox, { key, value, ttl, number }: CacheChange): void {
  const name = encodeValue(key, 'key')
  const timed = ttl > 0
  const length = (timed ? TTL_BYTES : 0) + name.length + (value?.length ?? 0)
  let at = out.reserve(HEADER_BYTES + length)
  const { chunk } = out
  writeHeader(chunk, at, HostFrame.CACHE, timed ? TIMED : 0, number, length)
  at += HEADER_BYTES
  if (timed) at = chunk.writeDoubleBE(ttl, at)
  chunk.set(name, at)
  at += name.length
  if (value !== undefined) chunk.set(value, at)
  out.commit(at + (value?.length ?? 0))
}

/** The value is a copy. */
export function readCacheFrame(flags: number, number: number, bytes: Buffer, start: number, end: number): CacheChange {
  const timed = (flags & TIMED) !== 0
  const keyAt = timed ? start + TTL_BYTES : start
  const valueAt = validate(bytes, keyAt, end)
  return {
    key: decodeValue(bytes, keyAt, valueAt) as string,
    value: valueAt === end ? undefined : Uint8Array.prototype.slice.call(bytes, valueAt, end),
    ttl: timed ? bytes.readDoubleBE(start) : 0,
    number,
  }
}
