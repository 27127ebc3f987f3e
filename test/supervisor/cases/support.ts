/** A supervisor within the test, with `busy_worker` and a client. */
import { join } from 'node:path'
import { type ConnectOptions, MiddleMan, type WorkerProxy } from 'offstage/middleman'
import { type EmbedOptions, type Supervisor, startSupervisor } from 'offstage/supervisor'
import type { Test } from 'tap'
import { encodeValue } from '#offstage/wire/codec.js'
import { type Envelope, Verb } from '#offstage/wire/envelope.js'
import { body } from '../../support/raw-client.js'
import type BusyWorker from './workers/busy_worker.js'

export const WORKERS = join(import.meta.dirname, 'workers')

interface Parts {
  supervisor: Supervisor
  port: number
  middleMan: MiddleMan
  worker: WorkerProxy<BusyWorker>
}

export async function setUp(t: Test, settings: EmbedOptions = {}, connecting: ConnectOptions = {}): Promise<Parts> {
  const supervisor = await startSupervisor({
    port: 0,
    cwd: settings.cwd ?? t.testdir(),
    workers: WORKERS,
    persistent_disabled: true,
    log_level: 'silent',
    ...settings,
  })
  const middleMan = await MiddleMan.connect({ client: supervisor.address, ...connecting })
  t.teardown(async () => {
    await middleMan.close({ timeout: 0 })
    await supervisor.stop()
  })
  const port = Number(supervisor.address.split(':').at(-1))
  return { supervisor, port, middleMan, worker: middleMan.worker<BusyWorker>('busy_worker') }
}

/** The body of a CALL to `busy_worker`. */
export function call(method: string, arg?: unknown, fields: Partial<Envelope> = {}): Buffer {
  const argument = arg === undefined ? undefined : encodeValue(arg)
  return body(Verb.CALL, { worker: 'busy_worker', method, ...fields }, argument)
}
