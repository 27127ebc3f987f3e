/** What Linux tells about a process in /proc. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** For `t.test`. */
export const NEEDS_PROC = { skip: existsSync('/proc/self/smaps_rollup') ? false : 'there is no /proc here' }

export interface Holdings {
  threads: number
  /** Processes that it has started and that are still there. */
  children: number
  descriptors: number
}

export function holdings(pid: number): Holdings {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
  return {
    threads: readdirSync(`/proc/${pid}/task`).length,
    children: children.length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** MiB that are its own and in memory. */
export function ownMemory(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)?.[1]) / 1024
}

function parentOf(pid: string): number | undefined {
  try {
    // The name, in brackets, may hold anything.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    // It has ended since the folder was read.
    return undefined
  }
}
