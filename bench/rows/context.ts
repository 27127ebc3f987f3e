/** What every group of rows is given. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plan } from '../measure.js'
import { type ServerProcess, startServer } from '../processes.js'

/** Jobs in the rows that are about many of them. */
export interface Size {
  readonly memory: number
  readonly restart: number
  /** The server is watched for so many ms, several times. */
  readonly idle: { readonly jobs: number; readonly ms: number }
}

export interface Context {
  readonly plan: Plan
  readonly size: Size
  /** An empty folder on the disk that is to be measured. */
  readonly folder: string
  /** Was this row asked for? */
  readonly selected: (row: string) => boolean
}

const PROGRAM = fileURLToPath(import.meta.resolve('#offstage/supervisor/index.js'))
export const WORKERS = fileURLToPath(new URL('../workers/', import.meta.url))

interface OffstageOptions {
  /** Folder of its workers. */
  readonly workers?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

/** A server of ours in a process of its own, with its journal in `data`. */
export function startOffstage(
  data: string,
  { workers = WORKERS, env, args = [] }: OffstageOptions = {},
): Promise<ServerProcess> {
  mkdirSync(data, { recursive: true })
  return startServer(PROGRAM, ['--workers', workers, '--port', '0', '--data', data, ...args], env)
}

/** Starts a floor's server, by its file in `bench/floors/`. */
export function startFloor(file: string, ...args: string[]): Promise<ServerProcess> {
  return startServer(path.join(fileURLToPath(new URL('../floors/', import.meta.url)), file), args)
}
