/**
 * A disk that forgets: what was written and not synced, bytes and names alike, survives a power cut only in part
 * and in any order. It can crash at any call, run full, and fail calls; docs/SIMULATION.md says how.
 *
 * A crash is planned at one of the calls that change something. It stops the machine until `restart`: every call
 * throws `SimulatedCrash`.
 */
import type { JournalFs, OpenMode } from '#offstage/persistence/journal/file-system.js'
import type { Prng } from './prng.js'
import { SimulatedFile } from './simulated-file.js'
import { type Entry, SimulatedFolder } from './simulated-folder.js'

export type CallKind = 'create' | 'write' | 'truncate' | 'sync' | 'rename' | 'remove' | 'makeFolder' | 'syncFolder'

/** `kill`: the process is gone, and what it wrote stays in the page cache. `power`: that is gone, too. */
export type CrashKind = 'kill' | 'power'

/** Before the call, after it, or when a part of what it writes is written. */
export type CrashMoment = 'before' | 'during' | 'after'

export interface Failure {
  readonly call: CallKind
  readonly code: string
  /** How many such calls pass before one fails. */
  after: number
}

export interface CrashPlan {
  /** Undefined: any that changes something. */
  readonly kind: CallKind | undefined
  /** How many such calls pass before the one that crashes. */
  after: number
  readonly moment: CrashMoment
}

class SimulatedCrash extends Error {}

interface OpenFile {
  readonly path: string
  readonly file: SimulatedFile
}

export class SimulatedDisk implements JournalFs {
  readonly #random: Prng
  readonly #log: (line: string) => void
  #root = new SimulatedFolder()
  #open = new Map<number, OpenFile>()
  #nextFile = 3
  #down = false
  /** Calls so far that change something, syncs included. */
  calls = 0
  /** Those of them that are no syncs. */
  changes = 0
  crashAt: CrashPlan | undefined
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY
  /** Each fails one call. */
  failures: Failure[] = []
  /** How often a write takes only a part: 0 never, 1 always. */
  shortWrites = 0
  /** Called before every call that changes something. */
  before: (call: CallKind, path: string) => void = () => {}

  /** `log` gets a line for every call that changes something. */
  constructor(random: Prng, log: (line: string) => void = () => {}) {
    this.#random = random
    this.#log = log
  }

  /** The machine has crashed and was not restarted. */
  get down(): boolean {
    return this.#down
  }

  crash(): void {
    this.#down = true
    this.crashAt = undefined
  }

  restart(kind: CrashKind): void {
    this.#down = false
    this.crashAt = undefined
    this.#open = new Map()
    if (kind === 'power') cutPower(this.#root, this.#random, new Set())
  }

  /** The disk as it is now, for another machine with chances of its own. */
  copy(random: Prng): SimulatedDisk {
    const copy = new SimulatedDisk(random, this.#log)
    copy.#root = this.#root.copy()
    copy.capacity = this.capacity
    return copy
  }

  /** What a file holds now, for tests that damage it. */
  file(path: string): SimulatedFile {
    const entry = this.#entry(path)
    if (!(entry instanceof SimulatedFile)) throw systemError('ENOENT', path)
    return entry
  }

  open(path: string, mode: OpenMode): number {
    this.#check()
    if (mode !== 'create') return this.#opened(path, this.file(path))
    return this.#call('create', path, () => {
      const [folder, name] = this.#parent(path)
      if (folder.names.has(name)) throw systemError('EEXIST', path)
      if (this.free() <= 0) throw systemError('ENOSPC', path)
      const file = new SimulatedFile()
      folder.add(name, file)
      return this.#opened(path, file)
    })
  }

  close(file: number): void {
    this.#check()
    if (!this.#open.delete(file)) throw systemError('EBADF', String(file))
  }

  write(file: number, parts: readonly Uint8Array[], position: number): number {
    const { path, file: target } = this.#file(file)
    const bytes = Buffer.concat(parts)
    const write = (length: number) => {
      if (length > 0) target.write(position, bytes.subarray(0, length))
      return length
    }
    const part = () => write(this.#random.int(bytes.length))
    return this.#call(
      'write',
      path,
      () => {
        const room = Math.max(0, Math.max(target.size, position) + this.free() - position)
        if (room === 0 && bytes.length > 0) throw systemError('ENOSPC', path)
        const most = Math.min(room, bytes.length)
        const short = most > 1 && this.#random.chance(this.shortWrites)
        return write(short ? this.#random.between(1, most - 1) : most)
      },
      { partly: part, failing: part, facts: `${position}+${bytes.length}` },
    )
  }

  read(file: number, target: Uint8Array, position: number): number {
    this.#check()
    const part = this.#file(file).file.bytes.subarray(position, position + target.length)
    target.set(part)
    return part.length
  }

  size(file: number): number {
    this.#check()
    return this.#file(file).file.size
  }

  truncate(file: number, size: number): void {
    const { path, file: target } = this.#file(file)
    this.#call('truncate', path, () => target.truncate(size), { facts: String(size) })
  }

  sync(file: number): void {
    const { path, file: target } = this.#file(file)
    this.#call('sync', path, () => target.sync(), { failing: () => target.failSync(this.#random) })
  }

  rename(from: string, to: string): void {
    this.#call(
      'rename',
      from,
      () => {
        const [folder, name] = this.#parent(from)
        const [target, newName] = this.#parent(to)
        const entry = folder.names.get(name)
        if (entry === undefined) throw systemError('ENOENT', from)
        if (folder !== target) throw systemError('EXDEV', to)
        folder.rename(name, newName, entry)
      },
      { facts: `to ${to}` },
    )
  }

  remove(path: string): void {
    this.#call('remove', path, () => {
      const [folder, name] = this.#parent(path)
      const entry = folder.names.get(name)
      if (!(entry instanceof SimulatedFile)) throw systemError('ENOENT', path)
      folder.remove(name, entry)
    })
  }

  list(folder: string): string[] | undefined {
    this.#check()
    const entry = this.#entry(folder)
    return entry instanceof SimulatedFolder ? [...entry.names.keys()] : undefined
  }

  makeFolder(path: string): void {
    this.#call('makeFolder', path, () => {
      const [folder, name] = this.#parent(path)
      if (folder.names.has(name)) throw systemError('EEXIST', path)
      folder.add(name, new SimulatedFolder())
    })
  }

  syncFolder(path: string): void {
    this.#call('syncFolder', path, () => {
      const folder = this.#entry(path)
      if (!(folder instanceof SimulatedFolder)) throw systemError('ENOENT', path)
      folder.sync()
    })
  }

  /** Bytes that can be written before the disk is full. */
  free(): number {
    if (this.capacity === Number.POSITIVE_INFINITY) return this.capacity
    return Math.max(0, this.capacity - this.used())
  }

  /** Bytes of all files, those that are open and have no name included. */
  used(): number {
    const files = new Set<SimulatedFile>()
    collect(this.#root, files)
    for (const { file } of this.#open.values()) files.add(file)
    let used = 0
    for (const file of files) used += file.size
    return used
  }

  #call<T>(
    kind: CallKind,
    path: string,
    act: () => T,
    more: { partly?: () => unknown; failing?: () => unknown; facts?: string } = {},
  ): T {
    this.#check()
    this.before(kind, path)
    this.calls++
    if (kind !== 'sync' && kind !== 'syncFolder') this.changes++
    const line = `#${this.calls} ${kind} ${path}${more.facts === undefined ? '' : ` ${more.facts}`}`
    const moment = this.#crashMoment(kind)
    if (moment === 'before' || moment === 'during') {
      if (moment === 'during') more.partly?.()
      this.#log(`${line}: crash ${moment}`)
      this.crash()
      throw new SimulatedCrash(`the machine crashed ${moment} ${line}`)
    }
    const failure = this.#failure(kind)
    if (failure !== undefined) {
      more.failing?.()
      this.#log(`${line}: ${failure.code}`)
      throw systemError(failure.code, path)
    }
    this.#log(line)
    const result = act()
    if (moment === 'after') {
      this.#log(`${line}: crash after`)
      this.crash()
      throw new SimulatedCrash(`the machine crashed after ${line}`)
    }
    return result
  }

  #crashMoment(kind: CallKind): CrashMoment | undefined {
    const plan = this.crashAt
    if (plan === undefined || (plan.kind !== undefined && plan.kind !== kind) || plan.after-- > 0) return undefined
    return plan.moment
  }

  #failure(kind: CallKind): Failure | undefined {
    for (const failure of this.failures) {
      if (failure.call !== kind || failure.after-- > 0) continue
      this.failures = this.failures.filter((other) => other !== failure)
      return failure
    }
    return undefined
  }

  #check(): void {
    if (this.#down) throw new SimulatedCrash('the machine is down')
  }

  #opened(path: string, file: SimulatedFile): number {
    this.#open.set(this.#nextFile, { path, file })
    return this.#nextFile++
  }

  #file(file: number): OpenFile {
    this.#check()
    const open = this.#open.get(file)
    if (open === undefined) throw systemError('EBADF', String(file))
    return open
  }

  #parent(path: string): [SimulatedFolder, string] {
    const cut = path.lastIndexOf('/')
    const folder = this.#entry(path.slice(0, cut))
    if (!(folder instanceof SimulatedFolder)) throw systemError('ENOENT', path)
    return [folder, path.slice(cut + 1)]
  }

  #entry(path: string): Entry | undefined {
    let entry: Entry | undefined = this.#root
    for (const name of path.split('/')) {
      if (name === '') continue
      entry = entry instanceof SimulatedFolder ? entry.names.get(name) : undefined
    }
    return entry
  }
}

function cutPower(folder: SimulatedFolder, random: Prng, done: Set<Entry>): void {
  folder.cutPower(random)
  for (const entry of folder.names.values()) {
    if (done.has(entry)) continue
    done.add(entry)
    if (entry instanceof SimulatedFile) entry.cutPower(random)
    else cutPower(entry, random, done)
  }
}

function collect(folder: SimulatedFolder, files: Set<SimulatedFile>): void {
  for (const entry of folder.names.values()) {
    if (entry instanceof SimulatedFile) files.add(entry)
    else collect(entry, files)
  }
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
