/** The files that `offstage init` and `offstage worker new` write, as text. */

interface Names {
  /** What clients use: `billing_worker`. */
  readonly worker: string
  /** `BillingWorker`. */
  readonly className: string
  readonly typescript: boolean
}

export function workerText({ worker, className, typescript }: Names): string {
  const [override, data, name] = typescript ? ['override ', 'data?: unknown', 'name: string'] : ['', 'data', 'name']
  return `import { MetaWorker } from 'offstage'

/** Each public method can be called: middleMan.worker('${worker}').hello({ arg: 'you' }) */
export default class ${className} extends MetaWorker {
  static ${override}workerName = '${worker}'

  /** Once, when an instance is started. \`data\` comes from newWorker, or from the configuration. */
  ${override}async create(${data}) {
    this.logger.info({ data }, 'ready')
  }

  async hello(${name}) {
    this.cache.set(this.jobKey ?? 'last', name)
    return \`hello \${name}\`
  }
}
`
}

/** `from` is the worker's file, as the test imports it. */
export function testText({ worker, className }: Names, from: string): string {
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorker } from 'offstage/testing'
import ${className} from '${from}'

test('${worker} says hello', async () => {
  const worker = await testWorker(${className})
  assert.equal(await worker.call('hello', { arg: 'you', jobKey: 'first' }), 'hello you')
  assert.equal(worker.askResult('first'), 'you')
  await worker.close()
})
`
}

export const CONFIGURATION = `# All that can be set, with its default: docs/CONFIGURATION.md of offstage.
supervisor:
  ip: 127.0.0.1
  port: 11006
  workers: workers          # searched for worker files, with all folders in it
  data: data                # the journal: on a local disk, and not in the repository
# schedules:
#   hello_worker:
#     hello: { cron: "0 0 3 * * *", data: night }     # second minute hour day month weekday
# workers:
#   hello_worker: { concurrency: 10 }
`
