/**
 * A folder that is there whole or not at all. What is made stands aside until it is finished: beside the folder, as
 * `<folder>.partial`, or inside of it when it exists (and may be a mount point, which cannot be replaced). The
 * manifest gets its place last. So what an interruption leaves never passes for a journal: it has no manifest, and
 * a folder with segments and without a manifest is refused.
 */
import path from 'node:path'
import { StoreError } from '../../../errors.js'
import { errorCode } from '../file-system.js'
import { cannotCreate, cannotRemove } from './tool-error.js'
import type { ToolFs } from './tool-fs.js'

/** Takes the lock of a folder; returns what frees it. Throws `StoreError` with exit code 75 when it is taken. */
export type LockFolder = (folder: string) => () => void

export interface NewFolder {
  /** Where to write. */
  readonly path: string
  /** Gives everything its place, durably. */
  finish(): void
  /** Removes everything. */
  abandon(): void
}

const LOCK = 'LOCK'
const INSIDE = 'offstage-partial'
const BESIDE = '.partial'
/** An ext4 file system has this in its top folder; LOCK is left by whoever looked whether the folder is free. */
const NOTHING = new Set(['lost+found', LOCK, INSIDE])
/** What a tool that was interrupted can have left behind. */
const OURS = /^(LOCK|MANIFEST\.[ab]|[0-9a-f]{16}-[0-9a-f]{16}\.seg(\.tmp)?)$/

/** Throws `StoreError` with exit code 73 when the folder has something in it, or cannot be made. */
export function beginFolder(system: ToolFs, folder: string, lock: LockFolder): NewFolder {
  const parent = path.dirname(folder)
  const there = listed(system, folder)
  const something = there?.find((name) => !NOTHING.has(name))
  if (something !== undefined) {
    throw cannotCreate(folder, `there is something in it (${something}): give a new folder, or move that one away`)
  }
  if (there === undefined && listed(system, parent) === undefined) {
    throw cannotCreate(folder, `there is no ${parent}: make that first, or give another place`)
  }
  const staging = there === undefined ? `${folder}${BESIDE}` : `${folder}/${INSIDE}`
  return new Staging(system, folder, staging, prepare(system, folder, staging, there !== undefined, lock))
}

class Staging implements NewFolder {
  readonly path: string
  readonly #system: ToolFs
  readonly #folder: string
  #unlock: (() => void) | undefined
  /** What `finish` has made outside of `path`, for `abandon` to remove. */
  readonly #made: string[] = []

  constructor(system: ToolFs, folder: string, path: string, unlock: () => void) {
    this.path = path
    this.#system = system
    this.#folder = folder
    this.#unlock = unlock
  }

  finish(): void {
    const system = this.#system
    system.syncFolder(this.path)
    if (path.dirname(this.path) === this.#folder) {
      this.#moveUp()
      system.syncFolder(this.#folder)
      clear(system, this.path)
      system.removeFolder(this.path)
    } else {
      system.rename(this.path, this.#folder)
      for (const name of system.list(this.#folder) ?? []) this.#made.push(`${this.#folder}/${name}`)
      system.syncFolder(path.dirname(this.#folder))
    }
    this.#free()
  }

  /** The manifest comes last, when the names of the segments are durable. */
  #moveUp(): void {
    const names = (this.#system.list(this.path) ?? []).filter((name) => name !== LOCK)
    const [manifests, segments] = [true, false].map((which) => names.filter((name) => isManifest(name) === which))
    for (const name of segments!) this.#move(name)
    this.#system.syncFolder(this.#folder)
    for (const name of manifests!) this.#move(name)
  }

  #move(name: string): void {
    this.#system.rename(`${this.path}/${name}`, `${this.#folder}/${name}`)
    this.#made.push(`${this.#folder}/${name}`)
  }

  abandon(): void {
    try {
      // The manifest goes first: without it nothing passes for a journal.
      const made = this.#made.sort(
        (a, b) => Number(isManifest(path.basename(b))) - Number(isManifest(path.basename(a))),
      )
      for (const name of made) this.#system.remove(name)
      if (this.#system.list(this.path) !== undefined) {
        clear(this.#system, this.path)
        this.#system.removeFolder(this.path)
      } else if (this.#made.length > 0) this.#system.removeFolder(this.#folder)
    } finally {
      this.#free()
    }
  }

  #free(): void {
    this.#unlock?.()
    this.#unlock = undefined
  }
}

/** Abandons it because of an error, which the caller throws; says so when something is left. */
export function giveUp(target: NewFolder, reason: unknown): void {
  try {
    target.abandon()
  } catch (error) {
    throw cannotRemove(target.path, new AggregateError([reason, error]))
  }
}

function isManifest(name: string): boolean {
  return name.startsWith('MANIFEST')
}

/** Makes the folder to write to, or clears what an interrupted tool has left in it; locked, so that no two do. */
function prepare(system: ToolFs, folder: string, staging: string, exists: boolean, lock: LockFolder): () => void {
  let unlock: (() => void) | undefined
  try {
    if (exists) unlock = lock(folder)
    if (system.list(staging) === undefined) system.makeFolder(staging)
    unlock ??= lock(staging)
    const foreign = system.list(staging)?.find((name) => !OURS.test(name))
    if (foreign !== undefined) {
      throw cannotCreate(folder, `${staging} is in the way, with ${foreign} in it: move it away`)
    }
    clear(system, staging, LOCK)
    return unlock
  } catch (error) {
    unlock?.()
    if (error instanceof StoreError) throw error
    throw cannotCreate(folder, reason(error), error)
  }
}

function listed(system: ToolFs, folder: string): string[] | undefined {
  try {
    return system.list(folder)
  } catch (error) {
    throw cannotCreate(folder, errorCode(error) === 'ENOTDIR' ? 'it is a file' : reason(error), error)
  }
}

function clear(system: ToolFs, folder: string, but?: string): void {
  for (const name of system.list(folder) ?? []) if (name !== but) system.remove(`${folder}/${name}`)
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
