/**
 * `watch: true`: loads workers again whose files change. It looks at the files themselves, five times a second: what a file
 * system tells of changes depends on the system, and comes while a file is half written.
 */
import type { Logger } from './log.js'
import { differing, scanModules } from './module-scan.js'
import type { Registry } from './registry.js'
import { findWorkerFiles } from './worker-files.js'

/** Milliseconds between two looks. What has changed counts once it has stayed the same for one of these. */
const LOOK_EVERY = 200

export interface ReloaderOptions {
  readonly folders: readonly string[]
  readonly registry: Pick<Registry, 'has' | 'loadOne' | 'renew'>
  readonly log: Logger
}

export class Reloader {
  readonly #options: ReloaderOptions
  #known: Map<string, string> = new Map()
  #last: Map<string, string> = new Map()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: ReloaderOptions) {
    this.#options = options
  }

  /** To be called before the workers are loaded, so that no change is missed. */
  async begin(): Promise<void> {
    this.#known = await scanModules(this.#options.folders)
    this.#last = this.#known
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().then(() => {
        if (!this.#stopped) this.start()
      })
    }, LOOK_EVERY)
  }

  /** Resolves when nothing is being loaded any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#looking
  }

  async #look(): Promise<void> {
    const { folders, log } = this.#options
    try {
      const now = await scanModules(folders)
      const settled = differing(this.#last, now).size === 0
      this.#last = now
      if (!settled) return
      const changed = differing(this.#known, now)
      this.#known = now
      if (changed.size > 0) await this.#reload(changed)
    } catch (err) {
      log.error({ err }, `changed worker files could not be loaded: ${(err as Error).message}`)
    }
  }

  async #reload(changed: ReadonlySet<string>): Promise<void> {
    const { folders, registry, log } = this.#options
    const files = findWorkerFiles(folders)
    const helpers = [...changed].filter((path) => !files.includes(path) && !registry.has(path))
    for (const path of changed) {
      if (registry.has(path) && !files.includes(path)) {
        log.warn({ file: path }, `${path} was removed: its worker runs on until the supervisor is started again`)
      }
    }
    for (const file of files) {
      if (this.#stopped) return
      const because = changed.has(file) ? file : helpers[0]
      if (because !== undefined) await this.#load(file, because)
    }
  }

  async #load(file: string, because: string): Promise<void> {
    const { registry, log } = this.#options
    const known = registry.has(file)
    try {
      if (known) await registry.renew(file)
      else await registry.loadOne(file)
      log.info(
        { file, because },
        known ? `${file} was loaded again: ${because} has changed` : `${file} was loaded: it is new`,
      )
    } catch (err) {
      if (this.#stopped) return
      const meanwhile = known ? 'the worker goes on with what it has' : 'it has no worker'
      log.error({ file, because, err }, `${file} was not loaded, and ${meanwhile}: ${(err as Error).message}`)
    }
  }
}
