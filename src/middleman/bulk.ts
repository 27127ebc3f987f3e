/** `enqueueMany` and `enqueueManySettled`: many jobs in few frames. */
import { InvalidArgument } from '../errors.js'
import { envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { decodeFailure } from '../wire/failure.js'
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

/** All of them are stored, or none; but of several servers, or of more than a frame takes, those of one frame. */
export async function enqueueMany(route: Route, jobs: unknown, options: unknown): Promise<JobHandle[]> {
  const make = () => bulkCall(Verb.ENQUEUE_MANY, options)
  // All jobs are read before any is sent: one that is wrong leaves nothing half done.
  const sent = await send(route, jobs, make)
  const answers = (await Promise.all(sent.map(({ answer }) => answer))) as SentJob[][]
  const enqueued: JobHandle[] = []
  for (const [i, answer] of answers.entries()) {
    const { call, indices } = sent[i]!
    for (const [j, job] of answer.entries()) enqueued[indices[j]!] = handleOf(route, job, call.server)
  }
  return enqueued
}

/** One that is wrong, or refused, keeps no other from being stored. */
export async function enqueueManySettled(
  route: Route,
  jobs: unknown,
  options: unknown,
): Promise<PromiseSettledResult<JobHandle>[]> {
  const make = () => bulkCall(Verb.ENQUEUE_EACH, options)
  const outcomes: PromiseSettledResult<JobHandle>[] = []
  const refuse = (index: number, reason: unknown) => {
    outcomes[index] = { status: 'rejected', reason }
  }
  const sent = await send(route, jobs, make, refuse)
  await Promise.all(
    sent.map(async ({ call, indices, answer }) => {
      try {
        for (const [j, job] of ((await answer) as (SentJob | Uint8Array)[]).entries()) {
          const index = indices[j]!
          if (job instanceof Uint8Array) refuse(index, decodeFailure(job))
          else outcomes[index] = { status: 'fulfilled', value: handleOf(route, job, call.server) }
        }
      } catch (error) {
        for (const index of indices) refuse(index, error)
      }
    }),
  )
  return outcomes
}

/** As the server tells of a job: its id, and whether it was created. */
type SentJob = readonly [id: number, created: boolean, replaced?: boolean]

function handleOf(route: Route, [id, created, replaced = false]: SentJob, server: string): JobHandle {
  return new JobHandle(route, id, created, replaced, server)
}

function bulkCall(verb: number, options: unknown): Call {
  const call = new Call(verb, '', '', '')
  readCommonOptions(call, options)
  return call
}

interface SentBatch {
  readonly call: Call
  /** Which of the jobs it carries. */
  readonly indices: readonly number[]
  readonly answer: Promise<unknown>
}

/** Throws for the first job that is wrong, unless `refuse` hears of them all. */
async function send(route: Route, jobs: unknown, make: () => Call, refuse?: Refuse): Promise<SentBatch[]> {
  // Also when there is nothing to send, the options have to be right.
  const { title } = make()
  if (!Array.isArray(jobs)) throw new InvalidArgument(`${title} takes an array of jobs, and not ${show(jobs)}`)
  const known = route.known(make)
  if (known !== undefined) await known
  return encodeJobs(jobs, route, refuse).map(({ body, repeatable, place, indices }) => {
    const call = make()
    call.payload = body
    call.repeatable = repeatable
    call.place = place
    return { call, indices, answer: run(route, () => call) }
  })
}

type Refuse = (index: number, reason: unknown) => void

/** What one frame carries: jobs of one server. */
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

function encodeJobs(jobs: readonly unknown[], route: Route, refuse?: Refuse): Batch[] {
  const batches: Batch[] = []
  /** By server, the one that takes more jobs. */
  const open = new Map<Link, Batch>()
  const alone = route.links.length === 1
  for (let index = 0; index < jobs.length; index++) {
    let job: Call
    try {
      job = readEntry(jobs[index], `jobs[${index}]`)
    } catch (error) {
      if (refuse === undefined) throw error
      refuse(index, error)
      continue
    }
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
