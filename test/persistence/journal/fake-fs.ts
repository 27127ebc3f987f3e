/**
 * Files in memory, for tests that open a journal thousands of times or let a call fail. Everything written is
 * there at once: losing what was not synced is the simulation's work.
 */
import type { JournalFs, OpenMode } from '#offstage/persistence/journal/file-system.js'

interface File {
  bytes: Buffer
}

export class FakeFs implements JournalFs {
  readonly files = new Map<string, File>()
  readonly folders = new Set<string>(['/'])
  readonly #open = new Map<number, { path: string; file: File }>()
  #nextFile = 3
  /** Called before every call that changes something; may throw. */
  before: (call: string, path: string) => void = () => {}
  /** How many bytes all files together may have. */
  capacity = Number.POSITIVE_INFINITY
  /** The most that one write takes. */
  mostAtOnce = Number.POSITIVE_INFINITY

  /** What a new process would find, had this one been killed now. */
  copy(): FakeFs {
    const copy = new FakeFs()
    for (const [path, { bytes }] of this.files) copy.files.set(path, { bytes: Buffer.from(bytes) })
    for (const folder of this.folders) copy.folders.add(folder)
    return copy
  }

  bytes(path: string): Buffer {
    return this.#file(path).bytes
  }

  change(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
    const file = this.#file(path)
    file.bytes = change(file.bytes) ?? file.bytes
  }

  /** Paths of segments, in order. */
  segments(): string[] {
    return [...this.files.keys()].filter((path) => path.endsWith('.seg')).sort()
  }

  open(path: string, mode: OpenMode): number {
    if (mode === 'create') {
      this.before('create', path)
      if (this.files.has(path)) throw systemError('EEXIST', path)
      this.files.set(path, { bytes: Buffer.alloc(0) })
    }
    this.#open.set(this.#nextFile, { path, file: this.#file(path) })
    return this.#nextFile++
  }

  close(file: number): void {
    if (!this.#open.delete(file)) throw systemError('EBADF', String(file))
  }

  write(file: number, parts: readonly Uint8Array[], position: number): number {
    const { path, file: target } = this.#opened(file)
    this.before('write', path)
    const all = Buffer.concat(parts)
    const taken = all.subarray(0, Math.min(all.length, this.mostAtOnce))
    const size = Math.max(target.bytes.length, position + taken.length)
    if (size > target.bytes.length && size - target.bytes.length > this.free()) throw systemError('ENOSPC', path)
    const bytes = Buffer.alloc(size)
    target.bytes.copy(bytes)
    taken.copy(bytes, position)
    target.bytes = bytes
    return taken.length
  }

  read(file: number, target: Uint8Array, position: number): number {
    const part = this.#opened(file).file.bytes.subarray(position, position + target.length)
    target.set(part)
    return part.length
  }

  size(file: number): number {
    return this.#opened(file).file.bytes.length
  }

  truncate(file: number, size: number): void {
    const { path, file: target } = this.#opened(file)
    this.before('truncate', path)
    const bytes = Buffer.alloc(size)
    target.bytes.copy(bytes)
    target.bytes = bytes
  }

  sync(file: number): void {
    this.before('sync', this.#opened(file).path)
  }

  rename(from: string, to: string): void {
    this.before('rename', to)
    const file = this.#file(from)
    this.files.set(to, file)
    this.files.delete(from)
    for (const opened of this.#open.values()) if (opened.file === file) opened.path = to
  }

  remove(path: string): void {
    this.before('remove', path)
    this.#file(path)
    this.files.delete(path)
  }

  list(folder: string): string[] | undefined {
    if (!this.folders.has(folder)) return undefined
    const names = [...this.files.keys(), ...this.folders].filter((path) => path.startsWith(`${folder}/`))
    return names.map((path) => path.slice(folder.length + 1)).filter((name) => !name.includes('/'))
  }

  makeFolder(path: string): void {
    this.before('makeFolder', path)
    this.folders.add(path)
  }

  syncFolder(path: string): void {
    this.before('syncFolder', path)
  }

  free(): number {
    let used = 0
    for (const { bytes } of this.files.values()) used += bytes.length
    return Math.max(0, this.capacity - used)
  }

  #file(path: string): File {
    const file = this.files.get(path)
    if (file === undefined) throw systemError('ENOENT', path)
    return file
  }

  #opened(file: number): { path: string; file: File } {
    const opened = this.#open.get(file)
    if (opened === undefined) throw systemError('EBADF', String(file))
    return opened
  }
}

export function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
