/**
 * MANIFEST.a and MANIFEST.b: which segments belong to the store, and whether it was closed cleanly. A new
 * manifest overwrites the older of the two slots, so that the newer one stays whole whatever happens; the
 * valid one with the highest epoch counts. docs/JOURNAL.md has the table.
 */
import { crc32 } from 'node:zlib'
import { errorCode, type JournalFs, readIfThere, writeAll } from './file-system.js'
import { getU32, getU64, putU32, putU64 } from './format.js'

const MAGIC = 0x4d53_464f // "OFSM"
const MANIFEST_FORMAT = 1
const CLEAN = 1

const MANIFEST_BYTES = 128
const MANIFEST_SLOTS = ['MANIFEST.a', 'MANIFEST.b'] as const

export interface Manifest {
  /** Grows with every write; odd ones stand in slot b. */
  readonly epoch: number
  readonly uuid: Uint8Array
  readonly firstSegment: number
  /** 0: no segment was ever made. */
  readonly lastSegment: number
  /** Closed cleanly: the last segment then ends exactly at `endOffset`. */
  readonly clean: boolean
  readonly endOffset: number
  readonly endHeadCrc: number
  /** The next sequence number, when clean. */
  readonly nextSeq: number
}

export interface ManifestsFound {
  readonly newest: Manifest | undefined
  /** Slots that exist and hold no valid manifest. */
  readonly damaged: readonly string[]
}

export function readManifests(system: JournalFs, folder: string): ManifestsFound {
  const damaged: string[] = []
  let newest: Manifest | undefined
  for (const name of MANIFEST_SLOTS) {
    const bytes = readIfThere(system, `${folder}/${name}`)
    if (bytes === undefined) continue
    const manifest = decodeManifest(bytes)
    if (manifest === undefined) damaged.push(name)
    else if (newest === undefined || manifest.epoch > newest.epoch) newest = manifest
  }
  return { newest, damaged }
}

/** Durable when it returns. */
export function writeManifest(system: JournalFs, folder: string, manifest: Manifest): void {
  const path = `${folder}/${MANIFEST_SLOTS[manifest.epoch % 2]}`
  const { file, created } = openSlot(system, path)
  try {
    writeAll(system, file, [encodeManifest(manifest)], 0)
    system.sync(file)
  } finally {
    system.close(file)
  }
  if (created) system.syncFolder(folder)
}

export function encodeManifest(manifest: Manifest): Buffer {
  const bytes = Buffer.alloc(MANIFEST_BYTES)
  putU32(bytes, 0, MAGIC)
  putU32(bytes, 4, MANIFEST_FORMAT)
  putU64(bytes, 8, manifest.epoch)
  bytes.set(manifest.uuid, 16)
  putU64(bytes, 32, manifest.firstSegment)
  putU64(bytes, 40, manifest.lastSegment)
  putU32(bytes, 48, manifest.clean ? CLEAN : 0)
  putU32(bytes, 52, manifest.endHeadCrc)
  putU64(bytes, 56, manifest.endOffset)
  putU64(bytes, 64, manifest.nextSeq)
  putU32(bytes, 124, crc32(bytes.subarray(0, 124)))
  return bytes
}

export function decodeManifest(bytes: Uint8Array): Manifest | undefined {
  if (bytes.length !== MANIFEST_BYTES || getU32(bytes, 0) !== MAGIC) return undefined
  if (getU32(bytes, 124) !== crc32(bytes.subarray(0, 124)) || getU32(bytes, 4) !== MANIFEST_FORMAT) return undefined
  return {
    epoch: getU64(bytes, 8),
    uuid: Buffer.from(bytes.subarray(16, 32)),
    firstSegment: getU64(bytes, 32),
    lastSegment: getU64(bytes, 40),
    clean: (getU32(bytes, 48) & CLEAN) !== 0,
    endHeadCrc: getU32(bytes, 52),
    endOffset: getU64(bytes, 56),
    nextSeq: getU64(bytes, 64),
  }
}

function openSlot(system: JournalFs, path: string): { file: number; created: boolean } {
  try {
    return { file: system.open(path, 'write'), created: false }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return { file: system.open(path, 'create'), created: true }
  }
}
