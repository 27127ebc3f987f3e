import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { MiddleMan } from 'offstage/middleman'
import { startSupervisor } from 'offstage/supervisor'
import { pino } from 'pino'
import t from 'tap'
import { clientFrom } from '#offstage/middleman/config-file.js'
import { loadConfig } from '#offstage/supervisor/config.js'
import { makeVerifier } from '#offstage/wire/scram.js'
import { Authority } from '../../support/certificates.js'
import { WORKERS } from './support.js'

const PASSWORD = 'correct horse'
const PROGRAM = join(import.meta.dirname, '../../../../dist/cli/main.js')

/** The command `offstage`, with this on its standard input. */
async function offstage(args: string[], input: string): Promise<{ status: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...args])
  const texts = { out: '', err: '' }
  child.stdout.on('data', (chunk) => {
    texts.out += chunk
  })
  child.stderr.on('data', (chunk) => {
    texts.err += chunk
  })
  child.stdin.end(input)
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { status, ...texts }
}

t.test('offstage user add prints the line for the configuration, and nothing of the password', async (t) => {
  const { status, out, err } = await offstage(['user', 'add', 'we: b'], `${PASSWORD}\n`)
  t.equal(status, 0)
  t.equal(err, '')
  t.match(out, /^users:\n {2}"we: b": SCRAM-SHA-256\$100000:[\w+/=]+\$[\w+/=]+:[\w+/=]+\n$/)
  t.notMatch(out, PASSWORD)
  const cwd = t.testdir({ 'offstage.yml': out })
  const supervisor = await startSupervisor({
    port: 0,
    cwd,
    workers: WORKERS,
    persistent_disabled: true,
    log_level: 'silent',
  })
  const middleMan = await MiddleMan.connect({ client: supervisor.address, user: 'we: b', password: PASSWORD })
  t.equal(await middleMan.worker('busy_worker').echo!({ arg: 1 }), 1)
  await middleMan.close()
  await supervisor.stop()
  t.match(await offstage(['user', 'add', 'web'], 'short\n'), { status: 64, out: '', err: /at least 8 characters/ })
})

t.test('no secret is in a line of the log, an error, or what inspect shows', async (t) => {
  const authority = new Authority()
  const { cert, key } = authority.issue('web')
  const verifier = await makeVerifier(PASSWORD)
  const secrets = [PASSWORD, ...verifier.split('$')[2]!.split(':'), key.split('\n')[1]!]
  let shown = ''
  const logger = pino(
    { level: 'trace' },
    new Writable({
      write(chunk, _encoding, done) {
        shown += chunk
        done()
      },
    }),
  )
  const cwd = t.testdir({ 'offstage.yml': `users:\n  web: ${verifier}\n`, 'cert.pem': cert, 'key.pem': key })
  const files = { cwd, tls_cert: 'cert.pem', tls_key: 'key.pem' }
  const settings = { ...files, port: 0, workers: WORKERS, persistent_disabled: true }
  const supervisor = await startSupervisor({ ...settings, logger })
  t.teardown(() => supervisor.stop())
  const client = supervisor.address
  const show = (thing: unknown) => {
    shown += inspect(thing, { depth: 20, showHidden: true })
  }
  const failing = async (run: () => unknown) => {
    try {
      show(await run())
      t.fail('it had to fail')
    } catch (error) {
      show(error)
      shown += JSON.stringify(error)
    }
  }
  const tls = { ca: authority.cert }
  const middleMan = await MiddleMan.connect({ client, tls, user: 'web', password: PASSWORD })
  show(middleMan)
  show(middleMan.worker('busy_worker'))
  show(supervisor)
  show(loadConfig({ cwd, env: {} }))
  await failing(() => MiddleMan.connect({ client, tls, user: 'web', password: `${PASSWORD}!` }))
  await failing(() => MiddleMan.connect({ client, tls, user: PASSWORD, password: PASSWORD, timeout: -1 }))
  await failing(() => MiddleMan.connect({ client, user: 'web', password: PASSWORD }))
  await failing(() => MiddleMan.connect({ client, password: PASSWORD }))
  await failing(() => MiddleMan.connect({ client, user: 'web', password: [PASSWORD] as unknown as string }))
  await failing(() => startSupervisor({ ...settings, logger, tls_cert: 'key.pem' }))
  const broken = (text: string) => ({ cwd: t.testdir({ 'broken.yml': text }), env: {}, file: 'broken.yml' })
  await failing(() => loadConfig(broken(`users:\n  web: ${PASSWORD}\n`)))
  await failing(() => loadConfig(broken(`users:\n  web:\n    password: ${PASSWORD}\n`)))
  await failing(() => loadConfig(broken(`users: ${PASSWORD}\n`)))
  const noYaml = [`client:\n  password: ${PASSWORD}: x\n`, `client:\n  password: x\n  password: ${PASSWORD}\n`]
  for (const text of noYaml) {
    await failing(() => loadConfig(broken(text)))
    await failing(() => clientFrom(join(broken(text).cwd, 'broken.yml')))
  }
  const { cwd: dir } = broken(`client:\n  user: web\n  password: [${PASSWORD}]\n`)
  await failing(() => clientFrom(join(dir, 'broken.yml')))
  await middleMan.close()
  t.match(shown, /AUTH_FAILED/, 'it did log, and show, what went wrong')
  for (const secret of secrets) t.notOk(shown.includes(secret), `not ${secret.slice(0, 4)}…`)
})
