import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { settingsOf } from '#offstage/actors/settings.js'
import { ConfigurationError } from '#offstage/errors.js'
import { type Config, loadConfig } from '#offstage/supervisor/config.js'
import { environmentVariable, SETTING_NAMES, SETTINGS } from '#offstage/supervisor/settings.js'
import { decodeValue } from '#offstage/wire/codec.js'

function load(t: Test, file: string, extra: Partial<Parameters<typeof loadConfig>[0]> = {}): Config {
  const cwd = t.testdir({ 'offstage.yml': file })
  return loadConfig({ cwd, env: {}, ...extra })
}

function refused(t: Test, file: string, ...parts: string[]): void {
  t.test(`refuses ${JSON.stringify(file)}`, async (t) => {
    try {
      load(t, file)
      t.fail('it was taken')
    } catch (error) {
      t.type(error, ConfigurationError)
      for (const part of parts) t.match((error as Error).message, part)
    }
  })
}

t.test('with no file and no environment the defaults make a whole configuration', async (t) => {
  const cwd = t.testdir({})
  const config = loadConfig({ cwd, env: {} })
  t.equal(config.ip, '127.0.0.1')
  t.equal(config.port, 11006)
  t.strictSame(config.workers, [join(cwd, 'workers')])
  t.equal(config.workersByDefault, true)
  t.equal(config.data, join(cwd, 'data'))
  t.equal(config.file, undefined)
})

t.test('a file in the style of the original is read: leading colons, the old section name', async (t) => {
  const config = load(
    t,
    `
:backgroundrb:
  :ip: 127.0.0.2
  :port: 11007
  :environment: production
  :debug_log: true
:client: "10.0.0.1:11006,10.0.0.2:11007"
:schedules:
  :foo_worker:
    :some_task:
      :trigger_args: "*/5 * * * * *"
      :data: hello
`,
  )
  t.equal(config.ip, '127.0.0.2')
  t.equal(config.port, 11007)
  t.equal(config.environment, 'production')
  t.equal(config.log_level, 'debug')
  t.equal(config.schedules.length, 1)
  const [schedule] = config.schedules
  t.match(schedule, { worker: 'foo_worker', method: 'some_task' })
  t.equal(decodeValue(schedule!.argument), 'hello')
})

t.test('flags win over the environment, the environment over the file, the file over defaults', async (t) => {
  const file = 'supervisor: { port: 1, attempts: 3, ip: 127.0.0.9 }'
  const config = load(t, file, { env: { OFFSTAGE_PORT: '2', OFFSTAGE_ATTEMPTS: '4' }, flags: { port: 5 } })
  t.equal(config.port, 5)
  t.equal(config.attempts, 4)
  t.equal(config.ip, '127.0.0.9')
  t.equal(config.max_body, 1_048_576)
})

t.test('every setting can be given as an environment variable', async (t) => {
  const cwd = t.testdir({})
  const data = join(cwd, 'data')
  const paths: Record<string, unknown> = {
    workers: [join(cwd, 'workers')],
    data,
    pid_file: join(data, 'offstage.pid'),
  }
  for (const name of SETTING_NAMES) {
    const fallback: unknown = SETTINGS[name].fallback
    const value = Array.isArray(fallback) ? fallback.join(':') : String(fallback)
    const config = loadConfig({ cwd, env: { [environmentVariable(name)]: value } })
    t.strictSame(config[name], paths[name] ?? fallback, name)
  }
  t.throws(() => loadConfig({ cwd, env: { OFFSTAGE_PORT: 'many' } }), { message: /OFFSTAGE_PORT.*"many".*a number/ })
})

t.test('docs/CONFIGURATION.md lists every setting with its default, of the supervisor and of workers', async (t) => {
  const rows = readFileSync('docs/CONFIGURATION.md', 'utf8').split('\n')
  const check = (name: string, fallback: string) => {
    const line = rows.find((row) => row.startsWith(`| \`${name}\` |`))
    t.ok(line, `a row for ${name}`)
    t.match(line, `\`${fallback}\``, `the default of ${name}`)
  }
  for (const name of SETTING_NAMES) check(name, String(SETTINGS[name].fallback))
  const { workerName: _, ...defaults } = settingsOf({}, {}, 'a_worker')
  for (const [name, fallback] of Object.entries(defaults)) {
    const text = typeof fallback === 'string' ? fallback : JSON.stringify(fallback)
    check(
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      text,
    )
  }
})

t.test('lists of folders come as a list, as one text, or split from the environment', async (t) => {
  const cwd = t.testdir({ 'offstage.yml': 'supervisor: { workers: [a, b] }' })
  t.strictSame(loadConfig({ cwd, env: {} }).workers, [join(cwd, 'a'), join(cwd, 'b')])
  t.strictSame(loadConfig({ cwd, env: { OFFSTAGE_WORKERS: 'c:d' } }).workers, [join(cwd, 'c'), join(cwd, 'd')])
  t.strictSame(loadConfig({ cwd, env: {}, flags: { workers: 'e' } }).workers, [join(cwd, 'e')])
})

t.test('${NAME} is the environment variable, with a default after :-', async (t) => {
  const env = { PLACE: '127.0.0.3' }
  const file = 'supervisor: { ip: "${PLACE}", data: "${NOWHERE:-somewhere}" }'
  const config = load(t, file, { env })
  t.equal(config.ip, '127.0.0.3')
  t.match(config.data, /somewhere$/)
  t.throws(() => load(t, file, { env: { NOWHERE: 'x' } }), { message: /supervisor: ip:.*PLACE is not set/ })
  t.match(load(t, file, { env: { ...env, NOWHERE: '' } }).data, /somewhere$/, 'empty is not set')
})

t.test('a variable without quotes is a number or a boolean when it looks like one, as in YAML', async (t) => {
  const file =
    'supervisor:\n  port: ${PORT:-11007}\n  persistent_disabled: ${OFF}\n  data: ${NAME}\n  environment: "${PORT:-1}"\n'
  const env = { PORT: '4000', OFF: 'true', NAME: '007' }
  t.match(load(t, file, { env }), { port: 4000, persistent_disabled: true, data: /007$/, environment: '4000' })
  t.equal(load(t, file, { env: { OFF: 'false', NAME: 'x' } }).port, 11007)
  t.throws(() => load(t, file, { env: { ...env, PORT: 'x' } }), { message: /supervisor.port is "x" \(string\)/ })
})

t.test('a file that is named must exist', async (t) => {
  t.throws(() => loadConfig({ cwd: t.testdir({}), env: {}, file: 'missing.yml' }), {
    message: /missing\.yml does not exist/,
    exitCode: 78,
  })
})

refused(t, 'supervisor: { persistent_delay: 1.5 }', 'persistent_delay', '1.5', 'a whole number')
refused(t, 'supervisor: { persistent_delay: 45 }', 'persistent_delay', '45', '20, 30')
refused(t, 'supervisor: { prot: 1 }', 'supervisor.prot is not a known key', 'port, socket')
refused(t, 'access: [{ alow: web }]', 'access.0.alow is not a known key', 'allow, deny, verbs, workers, methods')
refused(t, 'users:', 'users is empty, which would let everybody connect')
refused(t, 'access:', 'access is empty, which would let everybody do everything')
refused(t, 'wrong: 1', 'wrong is not a known key', 'supervisor, client, users, access, schedules, workers, groups')
refused(t, 'supervisor: { port: "11006" }', 'supervisor.port', '"11006" (string)', 'a number')
refused(t, 'supervisor: { port: 1.5 }', 'supervisor.port', 'a whole number')
refused(t, 'supervisor: { port: 70000 }', 'supervisor.port', 'at most 65535')
refused(t, 'supervisor: { workers: 5 }', 'supervisor.workers', '5 (number)', 'text, or a list')
refused(t, 'supervisor: { result_storage: redis }', 'result_storage', '"redis"', 'worker')
refused(t, 'supervisor: [1]', 'supervisor', 'a list', 'a map')
refused(t, 'just text', 'not a map of sections')
refused(t, 'a: {', 'not valid YAML')
refused(t, 'supervisor: { port: 1 }\nbackgroundrb: { port: 2 }', 'two names of one section')
refused(t, 'supervisor: { ":port": 1, port: 2 }', '"port" stands twice')
refused(t, 'workers: { foo: { concurency: 1 } }', 'workers.foo.concurency', 'concurrency')
refused(t, 'schedules: { w: { create: { cron: "* * * * * *" } } }', 'schedules.w.create', 'cannot be scheduled')
refused(t, 'schedules: { w: { m: { data: 1 } } }', 'schedules.w.m', 'needs one of: "cron"')
refused(t, 'schedules: { w: { m: { cron: "* * *" } } }', 'schedules.w.m', '3 fields')
refused(t, 'schedules: { w: { m: { cron: "* 99 * * * *" } } }', 'schedules.w.m', 'minute')
refused(t, 'schedules: { w: { m: { cron: "* * * * * *", timezone: Mars } } }', '"Mars" is no time zone')
refused(t, 'groups: { g: { workers: [a] } }', 'groups.g.strategy', 'one-for-all, rest-for-one')
refused(
  t,
  'groups: { g: { strategy: one-for-one, workers: [a] } }',
  'groups.g.strategy',
  '"one-for-one"',
  'one-for-all',
)
refused(t, 'groups: { g: { strategy: one-for-all } }', 'groups.g.workers', 'a list')
refused(t, 'groups: { g: { strategy: one-for-all, workers: [] } }', 'groups.g.workers is empty')
refused(t, 'groups: { g: { strategy: one-for-all, workers: [a, a] } }', 'groups.g.workers names a twice')
refused(
  t,
  'groups: { g: { strategy: one-for-all, workers: [a, b] }, h: { strategy: rest-for-one, workers: [b] } }',
  'groups.h.workers names b, which is in the group g already',
)
refused(
  t,
  'groups: { g: { strategy: one-for-all, workers: [a] } }\nworkers: { a: { max_restarts: 1 } }',
  'workers.a.max_restarts has no meaning in a group: write it at groups.g.max_restarts',
)

t.test('groups have an intensity of their own; those that a program gives stand in place of the file', async (t) => {
  const file = 'groups: { g: { strategy: one-for-all, workers: [a, b], max_restarts: 1 } }'
  t.strictSame(load(t, file).groups, [
    { name: 'g', strategy: 'one-for-all', workers: ['a', 'b'], maxRestarts: 1, restartPeriod: 60 },
  ])
  const groups = { h: { strategy: 'rest-for-one', workers: ['c'], restart_period: 9 } }
  t.strictSame(load(t, file, { groups }).groups, [
    { name: 'h', strategy: 'rest-for-one', workers: ['c'], maxRestarts: 5, restartPeriod: 9 },
  ])
  t.throws(() => load(t, file, { groups: { h: {} } }), { message: /groups: h\.strategy/ })
})
