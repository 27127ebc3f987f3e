/** What an actor says when it cannot do what it was asked. */
import { ConfigurationError, RemoteWorkerError, WorkerCrashed, WorkerStopped } from '../errors.js'
import { type Message, originOf } from './message.js'
import type { LoadFailure } from './messages.js'
import type { RefusedMethod } from './methods.js'

export function noMethod(worker: string, method: string, refused: readonly RefusedMethod[]): RemoteWorkerError {
  const found = refused.find(({ name }) => name === method)
  const why = found === undefined ? '' : `: ${found.why}`
  return new RemoteWorkerError('NO_METHOD', `worker ${worker} has no method ${JSON.stringify(method)} to call${why}`)
}

/** `started`: the host had taken the message when the worker was stopped. */
export function stoppedError(worker: string, failure: string | undefined, started: boolean): WorkerStopped {
  const why = failure === undefined ? 'has been stopped' : `has failed and is not started again: ${failure}`
  return new WorkerStopped(`worker ${worker} ${why}`, { executed: started ? 'maybe' : 'no' })
}

export function hostEnded(worker: string, reason: Error): WorkerCrashed {
  const text = reason.name === 'Error' ? reason.message : `${reason.name}: ${reason.message}`
  return new WorkerCrashed(`the host of ${worker} ended: ${text}`, { cause: reason })
}

/** `why`: which member of the group has failed, and how. */
export function endedWithGroup(worker: string, why: string): WorkerCrashed {
  return new WorkerCrashed(`the host of ${worker} was ended, because ${why}`)
}

/** `limit` in milliseconds. */
export function createTooLong(worker: string, limit: number): WorkerCrashed {
  return new WorkerCrashed(
    `create of ${worker} has not ended within ${limit} ms (createTimeout), so its host was ended`,
  )
}

export function loadError({ message, cause }: LoadFailure): ConfigurationError {
  if (cause === undefined) return new ConfigurationError(message)
  const thrown = Object.assign(new Error(cause.message), { name: cause.name })
  if (cause.code !== undefined) Object.assign(thrown, { code: cause.code })
  if (cause.stack !== undefined) thrown.stack = cause.stack
  return new ConfigurationError(message, { cause: thrown })
}

/** Why a host is ended: `grace` in milliseconds. */
export function ignoredError(message: Message, grace: number): Error {
  const { method, jobKey } = originOf(message)
  const which = jobKey === '' ? method : `${method} (job key ${JSON.stringify(jobKey)})`
  const what = message.cancelled ? 'it was cancelled' : 'its deadline'
  return new Error(`${which} went on for ${grace} ms after ${what} and did not heed its signal`)
}
