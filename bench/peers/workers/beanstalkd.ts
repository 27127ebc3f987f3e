/** A worker process for beanstalkd. Arguments: its port, name of the tube. */
import { BeanstalkClient } from '../beanstalk_client.js'
import { serveDrains } from '../drain_process.js'

const [port, tube] = process.argv.slice(2)

serveDrains(async (concurrency, run) => {
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
