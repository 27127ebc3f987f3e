import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAddresses } from '#offstage/middleman/addresses.js'
import { clientFrom } from '#offstage/middleman/config-file.js'
import { MiddleMan } from '#offstage/middleman/index.js'
import { ScriptedServer } from './scripted-server.js'

t.test('addresses are read in every form', async (t) => {
  const texts = (list: string) => parseAddresses(list).map(({ text }) => text)
  t.same(texts('10.0.0.1:11006,10.0.0.2:11007'), ['10.0.0.1:11006', '10.0.0.2:11007'])
  t.same(texts(' jobs.example.com , 10.0.0.2:1 '), ['jobs.example.com:11006', '10.0.0.2:1'])
  t.same(texts('a:1,b:2,a:1'), ['a:1', 'b:2'], 'each once')
  t.same(texts('[::1]:11007,[fe80::1]'), ['[::1]:11007', '[fe80::1]:11006'])
  t.equal(parseAddresses('[::1]:5')[0]!.host, '::1')
  t.same(texts('0.0.0.0:11006'), ['127.0.0.1:11006'])
  for (const bad of ['', ',', 'a:', 'a:0', 'a:65536', 'a:b', 'a b', '::1', 'http://a:1', 'a:1,,b:1']) {
    t.throws(() => parseAddresses(bad), { name: 'InvalidArgument', message: /is not an address: write host:port/ }, bad)
  }
})

t.test('a configuration file says where the servers are', async (t) => {
  const file = join(t.testdir(), 'offstage.yml')
  const from = (yaml: string, env = {}) => {
    writeFileSync(file, yaml)
    return clientFrom(file, env).addresses.map(({ text }) => text)
  }
  const old = ':backgroundrb:\n  :ip: 0.0.0.0\n  :port: 11007\n  :environment: production\n'
  const client = ':client: "10.0.0.1:11006,10.0.0.2:11007"\n'
  t.same(
    from(`${old}${client}`),
    ['10.0.0.1:11006', '10.0.0.2:11007', '127.0.0.1:11007'],
    'the configured one is the last',
  )
  t.same(from(client), ['10.0.0.1:11006', '10.0.0.2:11007'], 'nothing says that one runs here')
  t.same(from(`supervisor:\n  ip: 10.0.0.1\n${client}`), ['10.0.0.1:11006', '10.0.0.2:11007'], 'each once')
  t.equal(clientFrom(file, {}).local.text, '10.0.0.1:11006')
  t.same(from(old), ['127.0.0.1:11007'])
  t.same(from('supervisor:\n  ip: 10.1.1.1\n'), ['10.1.1.1:11006'])
  t.same(from('backgroundrb:\n  port: 9\n'), ['127.0.0.1:9'])
  t.same(from('schedules: {}\n'), ['127.0.0.1:11006'])
  t.same(from(''), ['127.0.0.1:11006'])
  t.same(from('client: ${JOBS}:11006', { JOBS: '10.9.9.9' }), ['10.9.9.9:11006'])
  t.same(from('supervisor:\n  port: ${PORT:-12000}'), ['127.0.0.1:12000'])

  const wrong: [string, RegExp][] = [
    ['client: [1]', /client is an array: it has to be text/],
    ['client: "a:b"', /client has "a:b", which is not an address/],
    ['supervisor: 5', /supervisor is 5: it has to be a map/],
    ['- 1', /is an array: it has to be a map of settings/],
    ['supervisor:\n  port: many', /port is "many": it has to be a whole number/],
    ['supervisor:\n  ip: 5', /ip is 5: it has to be text/],
    ['client: ${NOWHERE}', /client needs the environment variable NOWHERE, which is not set/],
    ['a: [', /is not valid YAML/],
  ]
  for (const [yaml, message] of wrong) t.throws(() => from(yaml), { message }, yaml)
  t.throws(() => clientFrom(`${file}.no`), { name: 'ConfigurationError', message: /cannot be read: ENOENT/ })
})

t.test('fromConfig connects to them', async (t) => {
  const server = await ScriptedServer.start()
  const file = join(t.testdir({ 'offstage.yml': `client: "${server.address}"\n` }), 'offstage.yml')
  const middleMan = await MiddleMan.fromConfig(file, { timeout: 1000 })
  t.teardown(() => Promise.all([middleMan.close(), server.stopListening()]))
  t.equal(await middleMan.worker('w').x!({ arg: 1 }), 1)
  t.equal(server.received[0]!.timeout, 1000)
  await t.rejects(MiddleMan.fromConfig(`${file}.no`), { name: 'ConfigurationError' })
  await t.rejects(MiddleMan.fromConfig(5 as unknown as string), { name: 'InvalidArgument' })
})

t.test('wrong options of connect are named', async (t) => {
  const cases: [object, RegExp][] = [
    [{ client: 5 }, /client is 5/],
    [{ port: 0 }, /port is 0/],
    [{ port: '11006' }, /port is "11006"/],
    [{ host: '' }, /host is ""/],
    [{ timeout: -1 }, /timeout is -1/],
    [{ connectTimeout: 0 }, /connectTimeout is 0/],
    [{ signal: 1 }, /signal is 1/],
    [
      { clients: 'a:1' },
      /no option "clients": allowed are client, host, port, user, password, tls, memcache, timeout, connectTimeout, signal/,
    ],
  ]
  for (const [options, message] of cases) {
    await t.rejects(MiddleMan.connect(options), { name: 'InvalidArgument', message }, String(message))
  }
})
