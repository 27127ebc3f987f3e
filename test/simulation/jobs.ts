/** Jobs with an argument that says which request it belongs to, and that shows if a byte of it is another. */
import { createHash } from 'node:crypto'
import type { ClaimedJob, NewJob, QueueName } from '#offstage/persistence/store.js'
import type { IssuedJob, WantedJob } from '../history/events.js'
import type { Prng } from './prng.js'
import type { Profile } from './profile.js'

export class JobSource {
  readonly #random: Prng
  readonly #profile: Profile
  #requests = 0

  constructor(random: Prng, profile: Profile) {
    this.#random = random
    this.#profile = profile
  }

  queue(): QueueName {
    const number = this.#random.int(this.#profile.queues)
    return { worker: number === 2 ? 'printer' : 'mailer', workerKey: number === 1 ? 'second' : '' }
  }

  key(): string {
    return `key-${this.#random.int(this.#profile.keys)}`
  }

  job(now: number): { job: NewJob; wanted: WantedJob } {
    const random = this.#random
    const token = `request-${++this.#requests}`
    const size = random.chance(0.02) ? 4 * this.#profile.segmentBytes : random.int(this.#profile.largestArgument + 1)
    const facts = {
      ...this.queue(),
      jobKey: this.key(),
      method: random.pick(['send', 'print']),
      runAt: random.chance(0.2) ? now + random.int(20_000) : random.chance(0.5) ? 0 : now,
      priority: random.chance(0.3) ? random.between(-2, 2) : 0,
      maxAttempts: random.pick([1, 2, 3, 10]),
      atMostOnce: random.chance(0.1),
    }
    return { job: { ...facts, payload: argument(token, size) }, wanted: { ...facts, token } }
  }
}

/** The token, then bytes that follow from it, then a hash of both. */
function argument(token: string, size: number): Uint8Array {
  const body = Buffer.from(`${token.padEnd(token.length + size, '.')}\n`)
  return Buffer.concat([hash(body), body])
}

export function issuedJob({ payload, enqueuedAt: _, ...job }: ClaimedJob): IssuedJob {
  const bytes = Buffer.from(payload)
  const body = bytes.subarray(8)
  const whole = hash(body).equals(bytes.subarray(0, 8))
  return { ...job, token: whole ? /^[^.\n]*/.exec(body.toString())?.[0] : undefined }
}

function hash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, 8)
}
