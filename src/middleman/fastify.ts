/** The public entry `offstage/fastify`: a plugin that gives a Fastify server, and each of its requests, a `middleMan`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidArgument } from '../errors.js'
import type { LazyOptions } from './connect-options.js'
import { MiddleMan } from './middleman.js'
import { signalOf } from './request-signal.js'
import { middleMan as processWide } from './shared.js'

declare module 'fastify' {
  interface FastifyInstance {
    middleMan: MiddleMan
  }
  interface FastifyRequest {
    /** The same; its calls are cancelled when the client of the request goes away before the answer. */
    readonly middleMan: MiddleMan
  }
}

export interface OffstageFastifyOptions extends LazyOptions {
  /** A client to use, which whoever made it closes. */
  middleMan?: MiddleMan | undefined
}

const BOUND = Symbol('offstage.bound')
const REPLY = Symbol('offstage.reply')

interface Decorated {
  [REPLY]: FastifyReply | null
  [BOUND]: MiddleMan | null
}

/**
 * `await app.register(offstage)`: `app.middleMan` and `request.middleMan`. Without options it is the client of the process
 * (`middleMan` of `offstage/middleman`); with those of `MiddleMan.lazy` it is one of the server's own. Both connect at the
 * first call, and are closed with the server, after its last request. Throws `InvalidArgument` for wrong options.
 */
export default async function offstage(app: FastifyInstance, options: OffstageFastifyOptions): Promise<void> {
  const { middleMan: given, ...connection } = options
  const named = Object.keys(connection).length > 0
  if (given !== undefined && named) {
    throw new InvalidArgument('the plugin has a middleMan, which is connected: leave out the other options')
  }
  const middleMan = given ?? (named ? MiddleMan.lazy(connection) : processWide)
  app.decorate('middleMan', middleMan)
  app.decorateRequest(REPLY, null)
  app.decorateRequest(BOUND, null)
  app.decorateRequest('middleMan', {
    getter(this: FastifyRequest): MiddleMan {
      const request = this as unknown as Decorated
      const reply = request[REPLY]
      if (reply === null) {
        throw new InvalidArgument(
          'request.middleMan is asked for before the plugin: register offstage before other hooks',
        )
      }
      request[BOUND] ??= middleMan.with({ signal: signalOf(reply.raw) })
      return request[BOUND]
    },
  })
  app.addHook('onRequest', (request, reply, done) => {
    ;(request as unknown as Decorated)[REPLY] = reply
    done()
  })
  if (given === undefined) app.addHook('onClose', () => middleMan.close())
}

// What the package fastify-plugin would add: decorations are there for the whole server, not only within the plugin.
Object.assign(offstage, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'offstage',
  [Symbol.for('plugin-meta')]: { name: 'offstage', fastify: '5.x' },
})
