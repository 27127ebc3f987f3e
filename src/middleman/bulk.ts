/** `enqueueMany`: many jobs in few frames. */
import { InvalidArgument } from '../errors.js'
import { envelopeBound, Verb, writeEnvelope } from '../wire/envelope.js'
import { writeU32 } from '../wire/frame.js'
import { Call } from './call.js'
import type { Link } from './link.js'
import { asBag, readCommonOptions, readJob, show, text } from './options.js'
import { run } from './proxy.js'
import type { Enqueued } from './types.js'

/** A frame is closed when it has this much: well under any server's limit, and long enough to be worth its answer. */
const FRAME_BYTES = 512 * 1024

export async function enqueueMany(link: Link, jobs: unknown, options: unknown): Promise<Enqueued[]> {
  if (!Array.isArray(jobs)) throw new InvalidArgument(`enqueueMany takes an array of jobs, and not ${show(jobs)}`)
  // All jobs are read before any is sent: one that is wrong leaves nothing half done.
  const calls = encodeJobs(jobs).map(({ body, repeatable }) => {
    const call = new Call(Verb.ENQUEUE_MANY, '', '', '')
    call.payload = body
    call.repeatable = repeatable
    readCommonOptions(call, options)
    return call
  })
  const answers = (await Promise.all(calls.map((call) => run(link, () => call)))) as [number, boolean][][]
  return answers.flat().map(([id, created]) => ({ id, created }))
}

/** What one ENQUEUE_MANY frame carries. */
interface Batch {
  /** For each job its length, its envelope, its argument. */
  readonly body: Uint8Array
  /** None of its jobs is `atMostOnce`. */
  readonly repeatable: boolean
}

function encodeJobs(jobs: readonly unknown[]): Batch[] {
  const batches: Batch[] = []
  let body = Buffer.allocUnsafe(0)
  let at = 0
  let repeatable = true
  const close = () => {
    if (at > 0) batches.push({ body: body.subarray(0, at), repeatable })
  }
  for (let index = 0; index < jobs.length; index++) {
    const job = readEntry(jobs[index], `jobs[${index}]`)
    const most = 4 + envelopeBound(job) + job.payload.length
    if (at + most > body.length) {
      close()
      body = Buffer.allocUnsafe(Math.max(most, Math.min(FRAME_BYTES, 256 * jobs.length)))
      at = 0
      repeatable = true
    }
    if (job.atMostOnce) repeatable = false
    const payloadAt = writeEnvelope(body, at + 4, job)
    body.set(job.payload, payloadAt)
    const end = payloadAt + job.payload.length
    writeU32(body, at, end - at - 4)
    at = end
  }
  close()
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
