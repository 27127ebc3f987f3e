/**
 * The pid file: by it `offstage stop` and `status` find the supervisor. Besides the number of the process it says when that
 * began, because numbers are used again, and where it listens. Lines: number, beginning, address.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError } from '../errors.js'

export type Found =
  | { readonly state: 'none' }
  /** There is a file, and its process has ended, or is another one by now. */
  | { readonly state: 'dead'; readonly pid: number }
  | { readonly state: 'running'; readonly pid: number; readonly address: string }

/** Of this process. Returns what takes the file away again. Throws the error of the file system. */
export function writePidFile(path: string, address: string): () => void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${process.pid}\n${beginningOf(process.pid)}\n${address}\n`)
  return () => {
    const found = findSupervisor(path)
    if (found.state === 'running' && found.pid === process.pid) rmSync(path, { force: true })
  }
}

export function removePidFile(path: string): void {
  rmSync(path, { force: true })
}

/** Throws `ConfigurationError` for a file that cannot be read or is none of ours. */
export function findSupervisor(path: string): Found {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { state: 'none' }
    throw new ConfigurationError(`the pid file ${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
  const [number = '', began = '', address = ''] = text.split('\n')
  const pid = Number(number)
  if (!Number.isSafeInteger(pid) || pid < 1) {
    throw new ConfigurationError(`${path} is no pid file: it begins with ${JSON.stringify(number.slice(0, 40))}`)
  }
  const alive = isThere(pid) && (began === '' || began === beginningOf(pid))
  return alive ? { state: 'running', pid, address } : { state: 'dead', pid }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Which boot of the machine, and at which tick of that; '' where there is no /proc. proc(5), field 22 of `stat`. */
function beginningOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    // The name of the program, in brackets, may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return `${boot} ${fields[19]}`
  } catch {
    // Without /proc the number alone has to do.
    return ''
  }
}
