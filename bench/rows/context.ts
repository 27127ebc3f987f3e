/** What every group of rows is given. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plan } from '../measure.js'
import { type ServerProcess, startServer } from '../processes.js'

export interface Context {
  readonly plan: Plan
  /** An empty folder on the disk that is to be measured. */
  readonly folder: string
  /** Was this row asked for? */
  readonly selected: (row: string) => boolean
}

const PROGRAM = fileURLToPath(import.meta.resolve('#offstage/supervisor/index.js'))
const WORKERS = fileURLToPath(new URL('../workers/', import.meta.url))

/** A server of ours in a process of its own, with its journal in `data`. */
export function startOffstage(data: string): Promise<ServerProcess> {
  mkdirSync(data, { recursive: true })
  return startServer(PROGRAM, ['--workers', WORKERS, '--port', '0', '--data', data])
}

/** Starts a floor's server, by its file in `bench/floors/`. */
export function startFloor(file: string, ...args: string[]): Promise<ServerProcess> {
  return startServer(path.join(fileURLToPath(new URL('../floors/', import.meta.url)), file), args)
}
