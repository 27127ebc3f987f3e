/** Servers of the bench, each in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface ServerProcess {
  readonly port: number
  /** SIGTERM, then waits for the exit. Rejects when it ends with anything but status 0. */
  stop(): Promise<void>
  /** SIGKILL, then waits for the exit. */
  kill(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Sees to it that the process does not outlive the bench. */
export function trackProcess(child: ChildProcess): ChildProcess {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Starts `node script …args` and waits until its output says `listening on 127.0.0.1:<port>`. */
export async function startServer(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']
  const child = trackProcess(spawn(process.execPath, [script, ...args], { stdio, env: { ...process.env, ...env } }))
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  const lines = createInterface({ input: child.stdout! })
  const output: string[] = []
  const port = await new Promise<number>((resolve, reject) => {
    lines.on('line', (line) => {
      output.push(line)
      const found = /listening on 127\.0\.0\.1:(\d+)/.exec(line)
      if (found) resolve(Number(found[1]))
    })
    exited.then((status) => reject(new Error(`${script} ended with ${status}:\n${output.join('\n')}`)))
  })
  lines.removeAllListeners('line')
  child.stdout!.resume()
  return {
    port,
    async stop() {
      child.kill('SIGTERM')
      const status = await exited
      if (status !== 0) throw new Error(`${script} ended with ${status}`)
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
