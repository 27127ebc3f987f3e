/** `offstage call`, `async` and `enqueue`: a worker's method from the command line. */
import { type Command, Option } from 'commander'
import { InvalidArgument } from '../errors.js'
import type { MiddleMan } from '../middleman/index.js'
import { readArgument } from './argument.js'
import { Exit } from './exit-status.js'
import { print } from './output.js'
import { type ServerFlags, serverCommand, statusOf, withServer } from './server.js'
import { duration, moment, wholeNumber } from './usage.js'
import { toJson } from './value-json.js'

const ABOUT_JSON = `
The argument is JSON; - reads it from standard input. What JSON cannot say has forms, in arguments and results:
  {"$date": "2030-01-31T08:00:00Z"}  {"$bytes": "aGVsbG8="}  {"$bigint": "12345678901234567890"}  {"$number": "NaN"}
  {"$map": [["a", 1]]}  {"$set": [1, 2]}  {"$undefined": true}  {"$error": {"name": "Error", "message": "no"}}
`

interface SendFlags extends ServerFlags {
  readonly workerKey?: string
  readonly host?: string
  readonly timeout?: number
  readonly json?: true
}

interface CallFlags extends SendFlags {
  readonly key?: string
  readonly idempotent?: true
}

interface EnqueueFlags extends SendFlags {
  readonly key: string
  readonly at?: number
  readonly expires?: number
  readonly runTimeout?: number
  readonly priority?: number
  readonly attempts?: number
  readonly atMostOnce?: true
  readonly uniqueness?: string
}

export function callCommand(): Command {
  return sender('call', 'Call a method and print its result as JSON.')
    .option('--key <key>', 'job key: what the method has as this.jobKey')
    .option('--idempotent', 'running it twice does no harm: it is sent again when the connection breaks')
    .option('--json', 'the result on one line')
    .addHelpText(
      'after',
      examples(
        `offstage call billing_worker charge '{"order": 7, "amount": 12.5}'`,
        'offstage call report_worker build --worker-key berlin --timeout 30',
        'cat order.json | offstage call billing_worker charge -',
        'offstage call cache_worker clear --host all           on every server: an array of results',
      ),
    )
    .action((worker: string, method: string, json: string | undefined, flags: CallFlags) =>
      send('', worker, method, json, flags, callOptions(flags), (result) => {
        const plain = flags.host === 'all' ? (result as unknown[]).map(toJson) : toJson(result)
        print(JSON.stringify(plain, null, flags.json ? undefined : 2))
      }),
    )
}

export function asyncCommand(): Command {
  return sender('async', 'Call a method without waiting for its result: ends once the server has taken the call.')
    .option('--key <key>', 'job key: what the method has as this.jobKey')
    .option('--idempotent', 'running it twice does no harm: it is sent again when the connection breaks')
    .option('--json', '{"taken": true}')
    .addHelpText('after', examples(`offstage async mail_worker send '{"to": "ann@example.com"}'`))
    .action((worker: string, method: string, json: string | undefined, flags: CallFlags) =>
      send('async_', worker, method, json, flags, callOptions(flags), () =>
        print(flags.json ? JSON.stringify({ taken: true }) : `${worker}.${method} has been called`),
      ),
    )
}

export function enqueueCommand(): Command {
  return sender('enqueue', 'Add a job to the durable queue.')
    .requiredOption('--key <key>', 'job key: an unfinished job with this key is not added twice')
    .option('--at <time>', 'not before this time: an ISO time, or such as "in 5 minutes"', moment)
    .option('--expires <time>', 'not started from this time on', moment)
    .option('--run-timeout <duration>', 'how long one run may take: seconds, or such as "5 minutes"', duration)
    .option('--priority <number>', 'highest first; 0 is the default', wholeNumber)
    .option('--attempts <number>', 'how often it may be started', wholeNumber)
    .option('--at-most-once', 'never started a second time')
    .addOption(
      new Option('--uniqueness <rule>', 'what to do when a job that waits has the key').choices([
        'reject',
        'replace',
        'debounce',
      ]),
    )
    .option('--json', 'as {"id", "created", "replaced", "server"}')
    .addHelpText(
      'after',
      examples(
        `offstage enqueue billing_worker charge --key order-7 '{"order": 7}'`,
        'offstage enqueue report_worker build --key nightly --at "in 2 hours" --priority 5',
      ),
    )
    .action((worker: string, method: string, json: string | undefined, flags: EnqueueFlags) =>
      send('enq_', worker, method, json, flags, enqueueOptions(flags), (result) => {
        const jobs = flags.host === 'all' ? (result as Enqueued[]) : [result as Enqueued]
        const plain = jobs.map(({ id, created, replaced, server }) => ({ id, created, replaced, server }))
        if (flags.json) print(JSON.stringify(flags.host === 'all' ? plain : plain[0]))
        else print(plain.map((job) => enqueuedText(job, flags.key)).join('\n'))
      }),
    )
}

interface Enqueued {
  readonly id: number
  readonly created: boolean
  readonly replaced: boolean
  readonly server: string
}

function enqueuedText({ id, created, replaced, server }: Enqueued, key: string): string {
  const job = `job ${id} on ${server}`
  if (replaced) return `${job}, which had the key ${JSON.stringify(key)} already and is what was given now`
  return created
    ? job
    : `${job}, which has the key ${JSON.stringify(key)} already and has not finished: nothing was added`
}

function sender(name: string, description: string): Command {
  return serverCommand(name)
    .description(description)
    .argument('<worker>', 'name of the worker')
    .argument('<method>', 'name of the method, without a prefix')
    .argument('[json]', 'its argument')
    .option('-k, --worker-key <key>', 'the instance of the worker with this key')
    .option('--host <host>', 'all, local or the address of a server (default: they take turns)')
    .option('--timeout <duration>', 'how long to wait: seconds, or such as "500 milliseconds"', duration)
    .addHelpText('after', ABOUT_JSON)
}

function callOptions({ key, idempotent }: CallFlags): object {
  return { jobKey: key, idempotent }
}

function enqueueOptions(flags: EnqueueFlags): object {
  const { key, at, expires, runTimeout, priority, attempts, atMostOnce, uniqueness } = flags
  return { jobKey: key, scheduledAt: at, expiresAt: expires, runTimeout, priority, attempts, atMostOnce, uniqueness }
}

async function send(
  prefix: string,
  worker: string,
  method: string,
  json: string | undefined,
  flags: SendFlags,
  options: object,
  show: (result: unknown) => void,
): Promise<void> {
  process.exitCode = await statusOf(async () => {
    // Before anybody is asked: what is wrong with it has nothing to do with a server.
    const arg = await readArgument(json)
    const { host, timeout, workerKey } = flags
    await withServer(flags, async (middleMan) => {
      const call = methodOf(middleMan, worker, workerKey, method, prefix)
      show(await call({ ...options, host, timeout, arg }))
    })
    return Exit.done
  })
}

type Method = (options: object) => Promise<unknown>

/** What a proxy has of its own is no method of the worker, nor is what it would take for another verb. */
function methodOf(
  middleMan: MiddleMan,
  worker: string,
  key: string | undefined,
  method: string,
  prefix: string,
): Method {
  const proxy = middleMan.worker(worker, key) as unknown as Record<string, Method | undefined>
  const call =
    Object.hasOwn(proxy, method) || /^(?:async|enq|deq)(?:_.|\p{Lu})/u.test(method) ? undefined : proxy[method]
  if (call === undefined) {
    throw new InvalidArgument(
      `${JSON.stringify(method)} is no method that a worker can have: it is given without a prefix`,
    )
  }
  return prefix === '' ? call : proxy[`${prefix}${method}`]!
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`
}
