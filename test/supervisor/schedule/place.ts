/** A place for tests of schedules: a folder with a configuration, its servers, and what their workers write. */
import { watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiddleMan, type ScheduleInfo } from 'offstage/middleman'
import type { Test } from 'tap'
import { readRecord } from '../../support/record.js'
import { Server } from '../../support/server.js'

export const workers = join(import.meta.dirname, 'workers')

/** A server with these schedules, and what its workers write. */
export function setup(t: Test, schedules: string, firings?: Record<string, { at: number }>, more = {}) {
  const folder = t.testdir({ record: '', data: {}, 'offstage.yml': schedules })
  const record = join(folder, 'record')
  if (firings !== undefined) writeFileSync(join(folder, 'data/schedules.json'), JSON.stringify(firings))
  const start = async () => {
    const server = await Server.start({
      data: join(folder, 'data'),
      workers,
      args: ['--config', join(folder, 'offstage.yml')],
      env: { RECORD: record, TZ: 'UTC', ...more },
    })
    t.teardown(() => server.kill())
    return server
  }
  /** What was written, once that is enough. */
  const runs = async (enough: (lines: ReturnType<typeof readRecord>) => boolean) => {
    for await (const lines of changes(record)) if (enough(lines)) return lines
    throw new Error('it is watched for ever')
  }
  return { folder, start, runs }
}

async function* changes(file: string) {
  const watcher = watch(file)
  try {
    for (;;) {
      const changed = new Promise((resolve) => watcher.once('change', resolve))
      yield readRecord(file)
      await changed
    }
  } finally {
    watcher.close()
  }
}

export async function connect(t: Test, server: Server, identity = {}) {
  const middleMan = await MiddleMan.connect({ client: server.address, ...identity })
  t.teardown(() => middleMan.close({ timeout: 0 }))
  /** The schedule, once it is as asked for. */
  const schedule = async (name: string, enough: (info: ScheduleInfo) => boolean = () => true) => {
    for (;;) {
      const info = (await middleMan.schedules.list()).find((one) => one.name === name)!
      if (enough(info)) return info
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  return { middleMan, schedule }
}
