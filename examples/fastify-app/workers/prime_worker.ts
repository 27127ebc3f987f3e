import { setImmediate } from 'node:timers/promises'
import { MetaWorker } from 'offstage'

/** Numbers that are looked at between two looks at the signal: some milliseconds of work. */
const STEP = 20_000

export default class PrimeWorker extends MetaWorker {
  static override workerName = 'prime_worker'
  /** So that others are answered while it counts. */
  static override concurrency = 10

  #counting = 0
  #givenUp = 0

  /** How many primes there are up to `limit`. Stops when nobody waits for it any more. */
  async count(limit: number): Promise<number> {
    let primes = 0
    this.#counting++
    try {
      for (let n = 2; n <= limit; n++) {
        if (isPrime(n)) primes++
        if (n % STEP === 0) await setImmediate()
        this.signal.throwIfAborted()
      }
      return primes
    } catch (error) {
      this.#givenUp++
      throw error
    } finally {
      this.#counting--
    }
  }

  /** How many counts are in work, and how many were not wanted any more. */
  counts(): { counting: number; givenUp: number } {
    return { counting: this.#counting, givenUp: this.#givenUp }
  }
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return true
}
