/** `offstage init` and `offstage worker new`: what they write works as it is. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan } from 'offstage/middleman'
import t, { type Test } from 'tap'
import { Server } from '../support/server.js'

const PROGRAM = join(import.meta.dirname, '../../../dist/cli/main.js')

function place(t: Test, files = {}) {
  const cwd = t.testdir(files)
  const node = (...args: string[]) => {
    const { NODE_V8_COVERAGE: _, ...env } = process.env
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: 'utf8' })
    return { status, stdout, stderr }
  }
  return { cwd, node, offstage: (...args: string[]) => node(PROGRAM, ...args) }
}

t.test('init writes a configuration, a worker and a test, which work', async (t) => {
  const { cwd, node, offstage } = place(t)
  t.match(offstage('init'), { status: 0, stdout: /written {2}offstage\.yml\nwritten {2}workers\/hello_worker\.mjs\n/ })
  const tested = node('--test', 'test/hello_worker.test.mjs')
  t.equal(tested.status, 0, tested.stdout)
  const server = await Server.start({ data: 'data', workers: 'workers', cwd })
  t.teardown(() => server.kill())
  const middleMan = await MiddleMan.connect({ client: server.address })
  t.equal(await middleMan.worker('hello_worker').hello!({ arg: 'you' }), 'hello you')
  await middleMan.close()

  writeFileSync(join(cwd, 'offstage.yml'), 'mine')
  t.match(offstage('init'), { status: 0, stdout: /kept {5}offstage\.yml/ })
  t.equal(readFileSync(join(cwd, 'offstage.yml'), 'utf8'), 'mine')
})

t.test('worker new writes a worker under its name, in the language of the project', async (t) => {
  const { cwd, node, offstage } = place(t)
  t.match(offstage('worker', 'new', 'send_mail'), { status: 0, stdout: /workers\/send_mail_worker\.mjs/ })
  t.match(
    readFileSync(join(cwd, 'workers/send_mail_worker.mjs'), 'utf8'),
    /class SendMailWorker .*\n.*'send_mail_worker'/,
  )
  t.equal(node('--test', 'test/send_mail_worker.test.mjs').status, 0)
  writeFileSync(join(cwd, 'tsconfig.json'), '{}')
  t.match(offstage('worker', 'new', 'billing_worker', '--workers', 'src/jobs'), { status: 0 })
  t.match(
    readFileSync(join(cwd, 'src/jobs/billing_worker.ts'), 'utf8'),
    /static override workerName = 'billing_worker'/,
  )
  t.match(readFileSync(join(cwd, 'test/billing_worker.test.ts'), 'utf8'), "from '../src/jobs/billing_worker.js'")
})

t.test('a name that is taken, or is none, is refused, and nothing is written', async (t) => {
  const { cwd, offstage } = place(t, { test: { 'mail_worker.test.mjs': '' } })
  t.match(offstage('worker', 'new', 'mail'), { status: 73, stderr: /test\/mail_worker\.test\.mjs is there already/ })
  t.throws(() => readFileSync(join(cwd, 'workers/mail_worker.mjs')), { code: 'ENOENT' })
  t.match(offstage('worker', 'new', '../x'), { status: 64, stderr: /"\.\.\/x" is no name for a worker/ })
})
