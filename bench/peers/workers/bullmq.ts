/** BullMQ's worker process. Arguments: folder of the packages, port of Redis, name of the queue. */
import { serveDrains } from '../drain_process.js'
import { PeerModules } from '../modules.js'

const [folder, port, queue] = process.argv.slice(2)
const { Worker } = new PeerModules(folder!).bullmq

serveDrains(async ({ concurrency }, run, finished) => {
  const connection = { host: '127.0.0.1', port: Number(port) }
  const worker = new Worker(queue!, async ({ data }) => run(data), { connection, concurrency })
  await finished
  await worker.close()
})
