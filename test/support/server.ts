/** A real supervisor for tests: `node dist/supervisor` as a process of its own, on a free port. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The workers beside this file, as compiled. */
export const WORKERS = join(import.meta.dirname, 'workers')

const PROGRAM = join(import.meta.dirname, '../../../dist/supervisor/index.js')

/** A test that fails must not leave any of them running. */
const started = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})

export interface LogLine {
  level: number
  msg: string
  [field: string]: unknown
}

export interface ServerOptions {
  /** Folder of the journal. */
  data: string
  workers?: string
  port?: number
  args?: readonly string[]
  env?: Record<string, string>
  cwd?: string
  /** Makes another command of the program's: see strace.ts. It must stay one process. */
  wrap?: (command: string[]) => string[]
}

export class Server {
  readonly child: ChildProcess
  readonly lines: LogLine[] = []
  errors = ''
  address = ''
  readonly #waiting = new Set<() => void>()

  private constructor(child: ChildProcess) {
    this.child = child
    createInterface({ input: child.stdout! }).on('line', (text) => {
      this.lines.push(JSON.parse(text) as LogLine)
      for (const wake of this.#waiting) wake()
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    started.add(child)
    child.once('exit', () => {
      started.delete(child)
      for (const wake of this.#waiting) wake()
    })
  }

  /** Starts the program and does not wait until it is ready. */
  static spawn({ data, workers = WORKERS, port = 0, args = [], env = {}, cwd, wrap }: ServerOptions): Server {
    const flags = ['--port', String(port), '--data', data, '--workers', workers, ...args]
    const command = [process.execPath, PROGRAM, ...flags]
    const [program, ...rest] = wrap === undefined ? command : wrap(command)
    const child = spawn(program!, rest, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    })
    return new Server(child)
  }

  static async start(options: ServerOptions): Promise<Server> {
    const server = Server.spawn(options)
    const line = await server.line((entry) => typeof entry.address === 'string')
    server.address = line.address as string
    return server
  }

  get port(): number {
    return Number(this.address.split(':').at(-1))
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** The first line, past or to come, that passes the test; rejects when the program ends without one. */
  async line(matches: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(matches)
      if (found !== undefined) return found
      if (!this.running) {
        throw new Error(`the supervisor ended (${this.child.exitCode}) without that line: ${this.errors}`)
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
    }
  }

  /** Ends it in good order and returns its exit status. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** The exit status, once it has ended and all of its output was read. */
  async ended(): Promise<number | null> {
    if (this.running || !this.child.stdout!.closed) await once(this.child, 'close')
    return this.child.exitCode
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.running) return this.child.exitCode
    const exit = once(this.child, 'exit')
    this.child.kill(signal)
    await exit
    return this.child.exitCode
  }
}
