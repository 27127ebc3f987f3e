/**
 * The few calls that the journal makes to the file system, all synchronous: its thread has nothing else to
 * do, and must know that one has ended before it makes the next. Tests and the simulation bring their own.
 */
import fs from 'node:fs'

export type OpenMode = 'read' | 'write' | 'create'

export interface JournalFs {
  /** 'create' fails when the file exists; 'write' when it does not. */
  open(path: string, mode: OpenMode): number
  close(file: number): void
  /** Writes the parts one after the other at `position`; returns how many bytes were taken, maybe not all. */
  write(file: number, parts: readonly Uint8Array[], position: number): number
  /** Returns how many bytes were read, 0 at the end of the file. */
  read(file: number, target: Uint8Array, position: number): number
  size(file: number): number
  truncate(file: number, size: number): void
  /** Makes the file's bytes and its length durable. */
  sync(file: number): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** The names in a folder; undefined when there is no such folder. */
  list(folder: string): string[] | undefined
  makeFolder(path: string): void
  /** Makes the names in a folder durable. */
  syncFolder(path: string): void
  /** How many bytes can still be written to the file system of this folder. */
  free(folder: string): number
}

const FLAGS: Record<OpenMode, string> = { read: 'r', write: 'r+', create: 'wx+' }

export const realFs: JournalFs = {
  open: (path, mode) => fs.openSync(path, FLAGS[mode], 0o600),
  close: (file) => fs.closeSync(file),
  write: (file, parts, position) => fs.writevSync(file, parts as Uint8Array[], position),
  read: (file, target, position) => fs.readSync(file, target, 0, target.length, position),
  size: (file) => fs.fstatSync(file).size,
  truncate: (file, size) => fs.ftruncateSync(file, size),
  sync: (file) => fs.fdatasyncSync(file),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.unlinkSync(path),
  list(folder) {
    try {
      return fs.readdirSync(folder)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  },
  makeFolder: (path) => fs.mkdirSync(path, { mode: 0o700 }),
  syncFolder(path) {
    const folder = fs.openSync(path, 'r')
    try {
      fs.fsyncSync(folder)
    } finally {
      fs.closeSync(folder)
    }
  },
  free(folder) {
    const { bavail, bsize } = fs.statfsSync(folder)
    return bavail * bsize
  },
}

/** Writes all parts, also when the system takes them in pieces. */
export function writeAll(system: JournalFs, file: number, parts: readonly Uint8Array[], position: number): void {
  let left = parts
  let at = position
  while (left.length > 0) {
    const taken = system.write(file, left, at)
    at += taken
    left = after(left, taken)
  }
}

function after(parts: readonly Uint8Array[], taken: number): Uint8Array[] {
  const left: Uint8Array[] = []
  let skip = taken
  for (const part of parts) {
    if (skip >= part.length) skip -= part.length
    else {
      left.push(skip === 0 ? part : part.subarray(skip))
      skip = 0
    }
  }
  return left
}

/** `target`, when it is long enough, takes the bytes: fresh memory costs more than the reading. */
export function readWhole(system: JournalFs, path: string, target?: Buffer): Buffer {
  const file = system.open(path, 'read')
  try {
    const size = system.size(file)
    const bytes =
      target !== undefined && target.length >= size ? target.subarray(0, size) : Buffer.allocUnsafeSlow(size)
    let at = 0
    while (at < bytes.length) {
      const read = system.read(file, bytes.subarray(at), at)
      if (read === 0) break
      at += read
    }
    return bytes.subarray(0, at)
  } finally {
    system.close(file)
  }
}

/** The same; undefined when there is no such file. */
export function readIfThere(system: JournalFs, path: string): Buffer | undefined {
  try {
    return readWhole(system, path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A sync that failed: the system may have dropped what it could not write, so nothing after it is certain. */
export class SyncFailed extends Error {
  constructor(cause: unknown) {
    super(`the disk did not confirm a write: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** A new file with these bytes, durable but for its name; leaves nothing behind when it fails. */
export function writeTemporary(system: JournalFs, path: string, parts: readonly Uint8Array[]): number {
  const file = system.open(path, 'create')
  try {
    writeAll(system, file, parts, 0)
    syncFile(system, file)
    return file
  } catch (error) {
    system.close(file)
    system.remove(path)
    throw error
  }
}

export function syncFile(system: JournalFs, file: number): void {
  try {
    system.sync(file)
  } catch (error) {
    throw new SyncFailed(error)
  }
}

/** A file that is there whole or not at all: temporary name, contents, sync, rename, sync of the folder. */
export function createWhole(system: JournalFs, folder: string, name: string, parts: readonly Uint8Array[]): void {
  const temporary = `${folder}/${name}${TEMPORARY}`
  system.close(writeTemporary(system, temporary, parts))
  system.rename(temporary, `${folder}/${name}`)
  system.syncFolder(folder)
}

/** The end of the names of files that are not finished; they never hold anything acknowledged. */
export const TEMPORARY = '.tmp'

/** ENOSPC, EIO and so on; '' for an error of another kind. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

export function isFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}
