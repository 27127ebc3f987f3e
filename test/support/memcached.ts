/** A real memcached for tests, on a port of 127.0.0.1. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

const { error } = spawnSync('memcached', ['--version'])

/** For tests that need it. */
export const NEEDS_MEMCACHED = {
  skip: error === undefined ? false : `memcached is not installed (${error.message}): apt-get install memcached`,
}

const started = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})

interface Owner {
  teardown(fn: () => unknown): void
}

export class Memcached {
  readonly port: number
  #child: ChildProcess | undefined

  private constructor(port: number) {
    this.port = port
  }

  /** Running, on a free port; ended with the test. */
  static async start(t: Owner): Promise<Memcached> {
    for (;;) {
      const memcached = new Memcached(await freePort())
      t.teardown(() => memcached.kill())
      // Somebody else may have taken the port meanwhile.
      if (await memcached.run()) return memcached
    }
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Starts it, or starts it again. False when it could not have its port. */
  async run(): Promise<boolean> {
    const args = ['-p', String(this.port), '-U', '0', '-l', '127.0.0.1', '-m', '64', '-t', '1']
    if (process.getuid?.() === 0) args.push('-u', 'root')
    const child = spawn('memcached', args, { stdio: 'ignore' })
    this.#child = child
    started.add(child)
    const ended = once(child, 'exit').then(() => {
      started.delete(child)
      return false
    })
    const listening = async () => {
      while (child.exitCode === null && child.signalCode === null) {
        if ((await this.ask('version').catch(() => '')) !== '') return true
        await new Promise((resolve) => setImmediate(resolve))
      }
      return false
    }
    return Promise.race([ended, listening()])
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    // One that was stopped hears it, too.
    await exit
  }

  /** It keeps its connections and takes new ones, and answers nothing, until it goes on. */
  pause(): void {
    this.#child!.kill('SIGSTOP')
  }

  resume(): void {
    this.#child!.kill('SIGCONT')
  }

  /** The answer to a command of the text protocol, up to its last line. */
  ask(command: string, end = /(\r\n|^)(END|VERSION .*|STORED|DELETED|NOT_FOUND|OK)\r\n$/): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(this.port, '127.0.0.1', () => socket.write(`${command}\r\n`))
      socket.setEncoding('utf8')
      socket.on('data', (text: string) => {
        answer += text
        if (!end.test(answer)) return
        socket.destroy()
        resolve(answer)
      })
      socket.once('error', reject)
      socket.once('close', () => resolve(answer))
    })
  }

  /** Its clock, in seconds since 1970. */
  async now(): Promise<number> {
    return Number(/STAT time (\d+)/.exec(await this.ask('stats'))![1])
  }

  /** Connections that it has, but for the one that asks. */
  async connections(): Promise<number> {
    return Number(/STAT curr_connections (\d+)/.exec(await this.ask('stats'))![1]) - 1
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
