/** Asks the running application what programs would ask, and prints what they get. */
import { get } from 'node:http'
import { poll } from '../poll.js'
import type PrimeWorker from './workers/prime_worker.js'

export async function checkApp(address: string): Promise<void> {
  for (const limit of ['100', '100000', 'many']) {
    const response = await fetch(`${address}/primes/${limit}`)
    const { primes, message } = (await response.json()) as { primes?: number; message?: string }
    console.log(`GET /primes/${limit} → ${response.status} ${primes ?? message}`)
  }

  const slow = get(`${address}/primes/1000000000`, { agent: false }).on('error', () => {})
  await counts(({ counting }) => counting === 1)
  slow.destroy()
  console.log('GET /primes/1000000000 → nobody waits for it')
  const { counting, givenUp } = await counts(({ counting }) => counting === 0)
  console.log(`GET /counts → ${counting} in work, ${givenUp} given up`)

  function counts(wanted: (counts: Counts) => boolean): Promise<Counts> {
    return poll('the worker', async () => {
      const seen = (await (await fetch(`${address}/counts`)).json()) as Counts
      return wanted(seen) ? seen : null
    })
  }
}

type Counts = Awaited<ReturnType<PrimeWorker['counts']>>
