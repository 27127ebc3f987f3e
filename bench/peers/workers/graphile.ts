/** graphile-worker's worker process. Arguments: folder of the packages, connection string, name of the task. */

import { serveDrains } from '../drain_process.js'
import { LOCAL_QUEUE, POLL_MS, POOL } from '../graphile_settings.js'
import { PeerModules } from '../modules.js'

const [folder, connectionString, task] = process.argv.slice(2)
const { Logger, run: startRunner } = new PeerModules(folder!).graphileWorker
const logger = new Logger(() => () => {})

serveDrains(async ({ concurrency, scheduled }, run, finished) => {
  const worker = {
    connectionString,
    concurrentJobs: concurrency,
    maxPoolSize: POOL,
    localQueue: { size: LOCAL_QUEUE },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    ...(scheduled ? { pollInterval: POLL_MS } : {}),
  }
  const runner = await startRunner({ preset: { worker }, logger, noHandleSignals: true, taskList: { [task!]: run } })
  await finished
  await runner.stop()
})
