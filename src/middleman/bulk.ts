/** `enqueueMany`: many jobs in few frames. */
import { InvalidArgument } from '../errors.js'
import { envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { writeU32 } from '../wire/frame.js'
import { Call } from './call.js'
import { JobHandle } from './job.js'
import type { Link } from './link.js'
import { asBag, readCommonOptions, readJob, show, text } from './options.js'
import { placeKey } from './place.js'
import { run } from './proxy.js'
import type { Route } from './route.js'

/** A frame is closed when it has this much: well under any server's limit, and long enough to be worth its answer. */
const FRAME_BYTES = 512 * 1024

export async function enqueueMany(route: Route, jobs: unknown, options: unknown): Promise<JobHandle[]> {
  if (!Array.isArray(jobs)) throw new InvalidArgument(`enqueueMany takes an array of jobs, and not ${show(jobs)}`)
  const make = () => {
    const call = new Call(Verb.ENQUEUE_MANY, '', '', '')
    readCommonOptions(call, options)
    return call
  }
  const known = route.known(make)
  if (known !== undefined) await known
  // All jobs are read before any is sent: one that is wrong leaves nothing half done.
  const batches = encodeJobs(jobs, route)
  const calls = batches.map(({ body, repeatable, place }) => {
    const call = make()
    call.payload = body
    call.repeatable = repeatable
    call.place = place
    return call
  })
  const answers = (await Promise.all(calls.map((call) => run(route, () => call)))) as [number, boolean][][]
  const enqueued = new Array<JobHandle>(jobs.length)
  for (const [i, answer] of answers.entries()) {
    const { server } = calls[i]!
    for (const [j, [id, created]] of answer.entries()) {
      enqueued[batches[i]!.indices[j]!] = new JobHandle(route, id, created, server)
    }
  }
  return enqueued
}

/** What one ENQUEUE_MANY frame carries: jobs of one server. */
class Batch {
  /** Which of the jobs these are. */
  readonly indices: number[] = []
  /** None of its jobs is `atMostOnce`. */
  repeatable = true
  readonly #bytes: Buffer
  #at = 0

  constructor(
    bytes: number,
    /** Where its first job belongs, and so all of them as long as no server comes or goes. */
    readonly place: string,
  ) {
    this.#bytes = Buffer.allocUnsafe(bytes)
  }

  /** For each job its length, its envelope, its argument. */
  get body(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  fits(bytes: number): boolean {
    return this.#at + bytes <= this.#bytes.length
  }

  add(job: Call, index: number): void {
    const bytes = this.#bytes
    const at = this.#at
    const payloadAt = writeEnvelope(bytes, at + 4, job)
    bytes.set(job.payload, payloadAt)
    const end = payloadAt + job.payload.length
    writeU32(bytes, at, end - at - 4)
    this.#at = end
    this.indices.push(index)
    if (job.atMostOnce) this.repeatable = false
  }
}

function encodeJobs(jobs: readonly unknown[], route: Route): Batch[] {
  const batches: Batch[] = []
  /** By server, the one that takes more jobs. */
  const open = new Map<Link, Batch>()
  const alone = route.links.length === 1
  for (let index = 0; index < jobs.length; index++) {
    const job = readEntry(jobs[index], `jobs[${index}]`)
    const most = 4 + envelopeBound(job) + job.payload.length
    const place = alone ? '' : placeKey(job.worker, job.workerKey, job.jobKey)
    const link = alone ? route.links[0]! : route.placeOf(place)
    let batch = open.get(link)
    if (batch === undefined || !batch.fits(most)) {
      batch = new Batch(Math.max(most, Math.min(FRAME_BYTES, 256 * jobs.length)), place)
      batches.push(batch)
      open.set(link, batch)
    }
    batch.add(job, index)
  }
  return batches
}

function readEntry(job: unknown, at: string): Call {
  const bag = asBag(job, at)
  const worker = text(bag.worker, 'worker', at)
  const workerKey = bag.workerKey === undefined || bag.workerKey === '' ? '' : text(bag.workerKey, 'workerKey', at)
  const call = new Call(Verb.ENQUEUE, worker, workerKey, text(bag.method, 'method', at))
  readJob(call, bag, at)
  return call
}
