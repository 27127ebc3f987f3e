/** The likely mistakes with each command: one line on standard error, nothing on standard output, and its exit status. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeVerifier } from '#offstage/wire/scram.js'
import { command, commandWith } from '../support/command.js'
import { Server } from '../support/server.js'

const folder = t.testdir({
  'offstage.yml': [
    `users: { web: ${await makeVerifier('correct horse')} }`,
    'access: [{ allow: web, verbs: new_worker }]',
  ].join('\n'),
  wrong: { 'offstage.yml': 'supervisor: { port: many }' },
  empty: {},
})
const closed = await Server.start({ data: join(folder, 'data'), args: ['--config', join(folder, 'offstage.yml')] })
const server = await Server.start({ data: join(folder, 'empty/data'), cwd: join(folder, 'empty') })
t.teardown(async () => {
  await closed.kill()
  await server.kill()
})

/** Each command that asks a server, as it is meant; with a name that does not exist, where it takes one. */
const COMMANDS: [args: string[], unknownName?: RegExp][] = [
  [['call', 'no_worker', 'echo'], /no worker "?no_worker/],
  [['async', 'no_worker', 'echo'], /no worker "?no_worker/],
  [['enqueue', 'no_worker', 'echo', '--key', 'k'], /no worker "?no_worker/],
  [['workers']],
  [['jobs', 'list', '--worker', 'no_worker'], /no worker "?no_worker/],
  [['jobs', 'show', '1'], /there is no such job/],
  [['jobs', 'cancel', '1'], /there is no such job/],
  [['jobs', 'retry', '--worker', 'no_worker', '--key', 'k'], /there is no such job/],
  [['jobs', 'delete', '1'], /there is no such job/],
  [['dead', 'list', '--worker', 'no_worker'], /no worker "?no_worker/],
  [['dead', 'retry', '1'], /there is no such job/],
  [['dead', 'delete', '--all', '--worker', 'no_worker'], /no worker "?no_worker/],
  [['queue', 'pause', 'no_worker'], /no worker "?no_worker/],
  [['queue', 'resume', 'no_worker'], /no worker "?no_worker/],
  [['schedule', 'list']],
  [['schedule', 'run', 'no_worker.echo'], /no schedule no_worker\.echo/],
  [['schedule', 'pause', 'no_worker.echo'], /no schedule no_worker\.echo/],
  [['schedule', 'resume', 'no_worker.echo'], /no schedule no_worker\.echo/],
]

const NOBODY = ['--server', '127.0.0.1:1']
const THERE = ['--server', server.address]
const CLOSED = ['--server', closed.address]
const AS_WEB = { OFFSTAGE_USER: 'web', OFFSTAGE_PASSWORD: 'correct horse' }

for (const [args, unknownName] of COMMANDS) {
  t.test(args.join(' '), async (t) => {
    await check(t, 'server down', [...args, ...NOBODY], 69, /127\.0\.0\.1:1: nothing listens there/)
    if (unknownName !== undefined) await check(t, 'wrong name', [...args, ...THERE], 1, unknownName)
  })
}

async function check(
  t: Test,
  what: string,
  args: readonly string[],
  status: number,
  errors: RegExp,
  env: Record<string, string> = {},
) {
  const found = await commandWith({ cwd: join(folder, 'empty'), env }, ...args)
  t.match(found, { status, errors }, what)
  t.match(found.errors, /^offstage: [^\n]+\n$/, `${what}: one line`)
}

t.test('not allowed', async (t) => {
  const denied = /web may not /
  for (const args of [
    ['call', 'echo_worker', 'echo'],
    ['async', 'echo_worker', 'echo'],
    ['enqueue', 'echo_worker', 'echo', '--key', 'k'],
    ['workers'],
    ['jobs', 'list'],
    ['dead'],
    ['dead', 'retry', '--all'],
    ['queue', 'pause', 'echo_worker'],
    ['schedule', 'list'],
    ['schedule', 'run', 'echo_worker.echo'],
  ]) {
    await check(t, args.join(' '), [...args, ...CLOSED], 77, denied, AS_WEB)
  }
  const wrong = { ...AS_WEB, OFFSTAGE_PASSWORD: 'wrong' }
  await check(t, 'a wrong password', ['workers', ...CLOSED], 77, /the user or the password is wrong/, wrong)
})

t.test('wrong JSON', async (t) => {
  for (const args of [['call'], ['async'], ['enqueue', '--key', 'k']]) {
    const [name, ...options] = args
    const all = [name!, 'echo_worker', 'echo', '{"a": 1,}', ...options, ...NOBODY]
    await check(
      t,
      name!,
      all,
      65,
      /the argument is no JSON: at line 1, column 9 there is "}", where a name in quotes is expected/,
    )
  }
  await check(t, 'text', ['call', 'w', 'm', 'hello', ...NOBODY], 65, /a text stands in quotes: '"hello"'/)
})

t.test('what is missing, or cannot be', async (t) => {
  const usages: [args: string[], RegExp][] = [
    [['workers', '--no-such'], /unknown option '--no-such'/],
    [['call', 'echo_worker'], /missing required argument 'method'/],
    [['enqueue', 'echo_worker', 'echo'], /required option '--key <key>' not specified/],
    [['enqueue', 'echo_worker', 'echo', '--key', 'k', '--at', 'soon'], /'--at <time>' argument 'soon' is invalid/],
    [['enqueue', 'echo_worker', 'echo', '--key', 'k', '--priority', 'high'], /Give a whole number/],
    [['enqueue', 'echo_worker', 'echo', '--key', 'k', '--attempts', '0', ...THERE], /attempts is 0/],
    [['call', 'echo_worker', 'echo', '--host', '10.9.9.9:1', ...THERE], /10\.9\.9\.9:1/],
    [['jobs', 'list', '--state', 'lost'], /Allowed choices are/],
    [['jobs', 'list', '--limit', '0', ...THERE], /limit has to be/],
    [['workers', '--server', 'here or there'], /which is not an address/],
    [['schedule', 'run', 'nothing', ...THERE], /names no schedule/],
  ]
  for (const [args, errors] of usages) await check(t, args.join(' '), args, 64, errors)
})

t.test('a configuration that is wrong', async (t) => {
  const { status, errors, out } = await command('workers', '--config', join(folder, 'wrong/offstage.yml'))
  t.match({ status, out }, { status: 78, out: '' })
  t.match(errors, /^offstage: .*port/)
})
