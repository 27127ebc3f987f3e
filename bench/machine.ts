/** Facts without which a figure says little. */
import { statfsSync } from 'node:fs'
import os from 'node:os'

/** `f_type` of statfs(2), from linux/magic.h. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  4076150800: 'f2fs',
  2035054128: 'overlayfs',
  16914836: 'tmpfs (nothing is durable here)',
  26985: 'nfs',
}

export interface Machine {
  readonly cores: number
  readonly cpu: string
  readonly node: string
  readonly system: string
  readonly fileSystem: string
  /** Processes that wanted a core, on average over the minute before the run. */
  readonly loadBefore: number
}

export function describeMachine(folder: string): Machine {
  const type = statfsSync(folder).type
  return {
    cores: os.availableParallelism(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    node: process.version,
    system: `${os.type()} ${os.release()}`,
    fileSystem: FILE_SYSTEMS[type] ?? `type 0x${type.toString(16)}`,
    loadBefore: os.loadavg()[0]!,
  }
}
