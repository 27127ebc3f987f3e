/** A worker process for beanstalkd. Arguments: its port, name of the tube. */
import { BeanstalkClient } from '../beanstalk_client.js'
import { serveDrains } from '../drain_process.js'

const [port, tube] = process.argv.slice(2)

serveDrains(async ({ concurrency, scheduled }, run, finished) => {
  if (scheduled) {
    await Promise.all(Array.from({ length: concurrency }, () => serve(run, finished)))
    return
  }
  const client = await BeanstalkClient.connect(Number(port), tube!)
  const lane = async () => {
    for (;;) {
      const job = await client.reserve()
      if (job === undefined) return
      run(JSON.parse(job.body))
      await client.delete(job.id)
    }
  }
  // It hands out what is there until nothing is: no need to count.
  await Promise.all(Array.from({ length: concurrency }, lane))
  client.close()
})

/** One job after the other as they come, over a connection of its own: to wait for one blocks it. */
async function serve(run: (argument: string) => void, finished: Promise<void>): Promise<void> {
  const client = await BeanstalkClient.connect(Number(port), tube!)
  let done = false
  finished.then(() => {
    done = true
  })
  while (!done) {
    const job = await client.reserve(1)
    if (job === undefined) continue
    run(JSON.parse(job.body))
    await client.delete(job.id)
  }
  client.close()
}
