/** What runs in a checker's thread: the worker's file is imported, and no instance is made. */
import { parentPort, workerData } from 'node:worker_threads'
import { type OffstageError, RemoteWorkerError } from '../../errors.js'
import { decodeValue } from '../../wire/codec.js'
import { encodeFailure } from '../../wire/failure.js'
import { loadWorker } from '../load.js'
import { fitArgument, type NotCalled } from '../schemas.js'
import type { CheckAnswer, CheckBatch, CheckerData } from './batch.js'

const port = parentPort!
const { file, overrides } = workerData as CheckerData
const { schemas } = await loadWorker(file, overrides)
port.on('message', (batch: CheckBatch) => void check(batch).then((answer) => port.postMessage(answer)))

async function check({ methods, ends, bytes }: CheckBatch): Promise<CheckAnswer> {
  const failed: CheckAnswer = new Map()
  await Promise.all(
    methods.map(async (method, i) => {
      const error = await misfit(method, bytes.subarray(ends[i - 1] ?? 0, ends[i]))
      if (error !== undefined) failed.set(i, encodeFailure(error))
    }),
  )
  return failed
}

async function misfit(method: string, bytes: Uint8Array): Promise<OffstageError | undefined> {
  const schema = schemas.get(method)
  if (schema === undefined) return undefined
  let argument: unknown
  try {
    if (bytes.length > 0) argument = decodeValue(bytes)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return new RemoteWorkerError('BAD_ARGUMENT', `the argument of ${method} cannot be read: ${why}`)
  }
  try {
    await fitArgument(method, schema, argument)
    return undefined
  } catch (error) {
    return (error as NotCalled).error
  }
}
