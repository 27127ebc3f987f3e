/** Servers of the peers: each on loopback, on a free port, with a data folder of its own. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS = 20_000

interface DaemonOptions extends Pick<SpawnOptions, 'env' | 'uid' | 'gid'> {
  readonly file: string
  readonly args: readonly string[]
  /** File for what it prints. */
  readonly log: string
  /** Ends it at once, whatever clients are still connected. */
  readonly stopSignal: NodeJS.Signals
  /** Resolves when it takes commands; is called again after it has rejected. */
  readonly ready: () => Promise<void>
}

const running = new Set<Daemon>()
process.on('exit', () => {
  for (const daemon of running) daemon.signal()
})

/** Ends every daemon that was started here and has not ended. */
export async function stopDaemons(): Promise<void> {
  await Promise.all([...running].map((daemon) => daemon.stop()))
}

export class Daemon {
  readonly #child: ChildProcess
  readonly #stopSignal: NodeJS.Signals
  /** How it ended. */
  readonly #exited: Promise<string>

  private constructor(child: ChildProcess, stopSignal: NodeJS.Signals) {
    this.#child = child
    this.#stopSignal = stopSignal
    this.#exited = once(child, 'exit')
      .then(([code, signal]) => `ended with ${code ?? signal}`, String)
      .finally(() => running.delete(this))
    running.add(this)
  }

  /** Rejects, with the end of its log, when it ends or is not ready in time. */
  static async start({ file, args, log, stopSignal, ready, ...options }: DaemonOptions): Promise<Daemon> {
    const output = openSync(log, 'a')
    const child = spawn(file, args, { ...options, stdio: ['ignore', output, output] })
    closeSync(output)
    const daemon = new Daemon(child, stopSignal)
    let ended: string | undefined
    daemon.#exited.then((how) => {
      ended = how
    })
    for (const patience = Date.now() + START_MS; ; ) {
      try {
        await ready()
        if (ended === undefined) return daemon
      } catch (error) {
        if (Date.now() > patience) ended ??= `is not ready after ${START_MS} ms: ${error}`
      }
      if (ended !== undefined) {
        await daemon.stop()
        throw new Error(`${file} ${ended}\n${readFileSync(log, 'utf8').split('\n').slice(-8).join('\n')}`)
      }
      await sleep(20)
    }
  }

  get pid(): number {
    return this.#child.pid!
  }

  signal(): void {
    this.#child.kill(this.#stopSignal)
  }

  async stop(): Promise<void> {
    this.signal()
    await this.#exited
  }
}

/** A port on loopback that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Connects once and lets go: for servers that take commands as soon as they take connections. */
export async function canConnect(port: number): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}
