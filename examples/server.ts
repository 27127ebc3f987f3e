/**
 * The server that an example talks to: the one that `npm start` runs on 127.0.0.1:11006, or with `--serve`
 * one of the example's own, on a free port, with its journal in a temporary folder.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface ExampleServer {
  /** `host:port`, as `MiddleMan.connect` takes it. */
  readonly address: string
  /** Ends the server if it was started here. */
  stop(): Promise<void>
}

/** `workers` is the folder with the example's workers, for `--serve`. */
export async function findServer(workers: URL): Promise<ExampleServer> {
  return process.argv.includes('--serve') ? serve(fileURLToPath(workers)) : find(11006)
}

async function find(port: number): Promise<ExampleServer> {
  const address = `127.0.0.1:${port}`
  const socket = net.connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
  } catch {
    console.error(`No server listens on ${address}: run \`npm start\` in another terminal, or add \`-- --serve\`.`)
    process.exit(1)
  }
  socket.destroy()
  return { address, stop: async () => {} }
}

async function serve(workers: string): Promise<ExampleServer> {
  const data = await mkdtemp(path.join(tmpdir(), 'offstage-example-'))
  const program = fileURLToPath(new URL('../../dist/supervisor/index.js', import.meta.url))
  const server = spawn(process.execPath, [program, '--workers', workers, '--port', '0', '--data', data], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(server, 'exit').then(([code, signal]) => (signal as string | null) ?? `status ${code}`)
  process.once('exit', () => server.kill('SIGKILL')) // when the example fails; one that was stopped is not there

  const log = createInterface({ input: server.stdout })
  const address = await new Promise<string>((resolve, reject) => {
    log.on('line', (line) => {
      const listening = /listening on (127\.0\.0\.1:\d+)/.exec(line)
      if (listening) resolve(listening[1]!)
    })
    ended.then((how) => reject(new Error(`the server ended with ${how} before it was ready`)))
  })

  return {
    address,
    async stop() {
      server.kill('SIGTERM')
      const how = await ended
      await rm(data, { recursive: true })
      if (how !== 'status 0') throw new Error(`the server ended with ${how}`)
    },
  }
}
