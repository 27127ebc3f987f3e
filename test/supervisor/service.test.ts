/** `offstage start --detach`, `stop`, `status` and `restart`, as a person or an init script uses them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { WORKERS } from '../support/server.js'
import type EchoWorker from '../support/workers/echo_worker.js'

const PROGRAM = join(import.meta.dirname, '../../../dist/cli/main.js')

interface Said {
  status: number | null
  stdout: string
  stderr: string
}

/** A folder to run it in; what still runs there is ended with the test. */
function place(t: Test) {
  const cwd = t.testdir({})
  const env = { ...process.env, OFFSTAGE_WORKERS: WORKERS, OFFSTAGE_PORT: '0' }
  const begun: number[] = []
  t.teardown(() => {
    for (const pid of begun.filter(alive)) process.kill(pid, 'SIGKILL')
  })
  const offstage = async (...args: string[]): Promise<Said> => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env })
    const said = { stdout: '', stderr: '' }
    child.stdout.on('data', (text) => {
      said.stdout += text
    })
    child.stderr.on('data', (text) => {
      said.stderr += text
    })
    const [status] = await once(child, 'close')
    const pid = /process (\d+) listens/.exec(said.stdout)?.[1]
    if (pid !== undefined) begun.push(Number(pid))
    return { status, ...said }
  }
  return { cwd, pidFile: join(cwd, 'data/offstage.pid'), offstage }
}

function alive(pid: number): boolean {
  return spawnSync('kill', ['-0', String(pid)]).status === 0
}

t.test('start, status, stop, status; each of them twice', async (t) => {
  const { cwd, pidFile, offstage } = place(t)
  t.match(await offstage('status'), { status: 3, stdout: /does not run/ })
  t.match(await offstage('stop'), { status: 0, stdout: /does not run/ })

  const started = await offstage('start', '--detach')
  t.equal(started.status, 0, started.stderr)
  const [, pid, address] = /^process (\d+) listens on (\S+); its log is /.exec(started.stdout) ?? []
  t.match(await offstage('start', '--detach'), { status: 0, stdout: `runs already, as process ${pid}` })
  t.match(await offstage('status'), { status: 0, stdout: `runs as process ${pid} and listens on ${address}` })
  t.match(JSON.parse((await offstage('status', '--json')).stdout), {
    state: 'running',
    pid: Number(pid),
    address,
    pidFile,
  })

  const middleMan = await MiddleMan.connect({ client: address! })
  t.equal(await middleMan.worker<EchoWorker>('echo_worker').echo({ arg: 'there' }), 'there')
  await middleMan.close()
  t.match(readFileSync(join(cwd, 'log/offstage.log'), 'utf8'), /"listening on /, 'its log, when none is configured')

  t.match(await offstage('stop'), { status: 0, stdout: `process ${pid} has stopped` })
  t.notOk(existsSync(pidFile))
  t.match(await offstage('status'), { status: 3 })
  t.match(await offstage('stop'), { status: 0, stdout: /does not run/ })
})

t.test('restart begins another process, whether one ran or not', async (t) => {
  const { offstage } = place(t)
  const first = await offstage('restart')
  t.equal(first.status, 0, first.stderr)
  const second = await offstage('restart')
  t.equal(second.status, 0, second.stderr)
  t.match(second.stdout, /has stopped\nprocess \d+ listens on /)
  const pid = (said: Said) => /process (\d+) listens/.exec(said.stdout)?.[1]
  t.not(pid(first), pid(second))
  t.match(await offstage('status'), { status: 0, stdout: `runs as process ${pid(second)} ` })
  t.equal((await offstage('stop')).status, 0)
})

t.test(
  'a supervisor that was killed leaves a pid file: status 1, then start and stop go on as if there were none',
  async (t) => {
    const { pidFile, offstage } = place(t)
    const pid = Number(/process (\d+)/.exec((await offstage('start', '--detach')).stdout)?.[1])
    process.kill(pid, 'SIGKILL')
    while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    t.match(await offstage('status'), { status: 1, stdout: `process ${pid} has died` })
    t.match(await offstage('start', '--detach'), { status: 0, stdout: /listens on/ })
    t.equal((await offstage('stop')).status, 0)

    writeFileSync(pidFile, `${pid}\n\n`)
    t.match(await offstage('stop'), { status: 0, stdout: /does not run/ })
    t.notOk(existsSync(pidFile), 'and nothing is left of it')
  },
)

t.test('a number that is used again by another process is not the supervisor', async (t) => {
  const { pidFile, offstage } = place(t)
  await offstage('start', '--detach')
  await offstage('stop')
  const other: ChildProcess = spawn('sleep', ['600'])
  t.teardown(() => other.kill('SIGKILL'))
  writeFileSync(pidFile, `${other.pid}\nanother boot 123\n127.0.0.1:1\n`)
  t.match(await offstage('status'), { status: 1 })
  t.match(await offstage('stop'), { status: 0 })
  t.ok(alive(other.pid!), 'it was left alone')
})

t.test('in the foreground it has a pid file, too, and stop ends it', async (t) => {
  const { cwd, offstage } = place(t)
  const child = spawn(process.execPath, [PROGRAM, 'start', '--workers', WORKERS, '--port', '0'], { cwd })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  while ((await offstage('status')).status !== 0);
  t.match(await offstage('stop'), { status: 0, stdout: `process ${child.pid} has stopped` })
  t.strictSame(await exited, [0, null])
})

t.test('what is wrong is said by the command, and not by the log alone', async (t) => {
  const { cwd, pidFile, offstage } = place(t)
  writeFileSync(join(cwd, 'offstage.yml'), 'supervisor: { prot: 1 }')
  t.match(await offstage('start', '--detach'), {
    status: 78,
    stderr: /^offstage: .*supervisor\.prot is not a known key/,
  })
  t.match(await offstage('status'), { status: 4, stderr: /supervisor\.prot/ })
  writeFileSync(join(cwd, 'offstage.yml'), '')
  t.match(await offstage('start', '--detach', '--workers', 'nowhere'), { status: 78, stderr: /nowhere/ })
  t.notOk(existsSync(pidFile))
  const running = await offstage('start', '--detach')
  t.equal(running.status, 0)
  writeFileSync(pidFile, 'nonsense')
  t.match(await offstage('status'), { status: 4, stderr: /is no pid file: it begins with "nonsense"/ })
  t.match(await offstage('start', '--detach'), { status: 78, stderr: /is no pid file/ })
  const pid = Number(/process (\d+)/.exec(running.stdout)?.[1])
  process.kill(pid, 'SIGTERM')
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 5))
})
