/** Files in memory for the tools: with links, and with folders that can be renamed and removed. */
import type { ToolFs } from '#offstage/persistence/journal/tools/tool-fs.js'
import { FakeFs, systemError } from '../fake-fs.js'

export class ToolFakeFs extends FakeFs implements ToolFs {
  /** On this side of the path a file system of its own begins. */
  otherDisk = ''

  static of(image: FakeFs): ToolFakeFs {
    const system = new ToolFakeFs()
    const { files, folders } = image.copy()
    for (const [path, file] of files) system.files.set(path, file)
    for (const folder of folders) system.folders.add(folder)
    return system
  }

  link(from: string, to: string): void {
    this.before('link', to)
    if (this.otherDisk !== '' && to.startsWith(this.otherDisk)) throw systemError('EXDEV', to)
    const file = this.files.get(from)
    if (file === undefined) throw systemError('ENOENT', from)
    if (this.files.has(to)) throw systemError('EEXIST', to)
    this.files.set(to, file)
  }

  removeFolder(path: string): void {
    this.before('removeFolder', path)
    if (!this.folders.has(path)) throw systemError('ENOENT', path)
    if (this.list(path)?.length !== 0) throw systemError('ENOTEMPTY', path)
    this.folders.delete(path)
  }

  override makeFolder(path: string): void {
    if (this.folders.has(path)) throw systemError('EEXIST', path)
    super.makeFolder(path)
  }

  override rename(from: string, to: string): void {
    if (!this.folders.has(from)) {
      super.rename(from, to)
      return
    }
    this.before('rename', to)
    if ((this.list(to) ?? []).length > 0) throw systemError('ENOTEMPTY', to)
    for (const name of this.list(from) ?? []) {
      const file = this.files.get(`${from}/${name}`)
      if (file === undefined) throw systemError('EISDIR', name)
      this.files.delete(`${from}/${name}`)
      this.files.set(`${to}/${name}`, file)
    }
    this.folders.delete(from)
    this.folders.add(to)
  }
}

/** The same file system, with a look before every single call, also those that only read. */
export function watched(system: ToolFakeFs, look: (call: string) => void): ToolFs {
  const call = <Args extends unknown[], Result>(name: string, run: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      look(name)
      return run.apply(system, args)
    }
  }
  return {
    open: call('open', system.open),
    close: call('close', system.close),
    write: call('write', system.write),
    read: call('read', system.read),
    size: call('size', system.size),
    truncate: call('truncate', system.truncate),
    sync: call('sync', system.sync),
    rename: call('rename', system.rename),
    remove: call('remove', system.remove),
    list: call('list', system.list),
    makeFolder: call('makeFolder', system.makeFolder),
    syncFolder: call('syncFolder', system.syncFolder),
    free: call('free', system.free),
    link: call('link', system.link),
    removeFolder: call('removeFolder', system.removeFolder),
  }
}
