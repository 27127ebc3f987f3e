/** Ties calls to a request of a web application: nobody needs their results when its client has gone away. */

/** What a `ServerResponse` of `node:http` and `node:http2` has. */
export interface ResponseLike {
  /** `end()` was called. */
  readonly writableEnded: boolean
  readonly destroyed?: boolean
  once(event: 'close', listener: () => void): unknown
}

const signals = new WeakMap<ResponseLike, AbortSignal>()

/**
 * A signal that fires when the client of a web request goes away before it was answered: the connection has closed and
 * `response.end()` was not called. Any framework's response will do that is one of `node:http` (`res` in Express,
 * `reply.raw` in Fastify).
 */
export function signalOf(response: ResponseLike): AbortSignal {
  let signal = signals.get(response)
  if (signal === undefined) {
    const gone = new AbortController()
    const look = () => {
      if (!response.writableEnded) gone.abort(new Error('the client of the web request has gone away'))
    }
    if (response.destroyed === true) look()
    else response.once('close', look)
    signal = gone.signal
    signals.set(response, signal)
  }
  return signal
}
