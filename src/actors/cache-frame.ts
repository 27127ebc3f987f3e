/** The CACHE frame of messages.ts: one changed entry of a worker's cache. */
import { decodeValue, encodeValue } from '../wire/codec.js'
import { HEADER_BYTES, writeHeader } from '../wire/frame.js'
import type { Outbox } from '../wire/outbox.js'
import { validate } from '../wire/validate.js'
import { HostFrame } from './messages.js'

/** `value` undefined: the entry is gone. */
export function writeCacheFrame(out: Outbox, key: string, value: Uint8Array | undefined): void {
  const name = encodeValue(key, 'key')
  const length = name.length + (value?.length ?? 0)
  const at = out.reserve(HEADER_BYTES + length)
  writeHeader(out.chunk, at, HostFrame.CACHE, 0, 0, length)
  out.chunk.set(name, at + HEADER_BYTES)
  if (value !== undefined) out.chunk.set(value, at + HEADER_BYTES + name.length)
  out.commit(at + HEADER_BYTES + length)
}

/** The value that `changed` gets is a copy. */
export function readCacheFrame(
  bytes: Buffer,
  start: number,
  end: number,
  changed: (key: string, value: Uint8Array | undefined) => void,
): void {
  const valueAt = validate(bytes, start, end)
  const key = decodeValue(bytes, start, valueAt) as string
  changed(key, valueAt === end ? undefined : Uint8Array.prototype.slice.call(bytes, valueAt, end))
}
