/** The web application: its requests wait for the worker, as long as somebody waits for them. */
import Fastify, { type FastifyInstance } from 'fastify'
import offstage from 'offstage/fastify'
import { OffstageError } from 'offstage/middleman'
import type PrimeWorker from './workers/prime_worker.js'

/** `jobServer` is its address. */
export async function createApp(jobServer: string): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(offstage, { client: jobServer })

  app.get<{ Params: { limit: number } }>('/primes/:limit', { schema: { params: LIMIT } }, async (request) => {
    const { limit } = request.params
    const worker = request.middleMan.worker<PrimeWorker>('prime_worker')
    return { limit, primes: await worker.count({ arg: limit }) }
  })

  app.get('/counts', async () => app.middleMan.worker<PrimeWorker>('prime_worker').counts())

  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof OffstageError)) return reply.send(error)
    // The job server is down or busy: the same request may succeed in a moment.
    return reply.status(error.retryable ? 503 : 500).send({ error: error.message })
  })

  return app
}

const LIMIT = {
  type: 'object',
  properties: { limit: { type: 'integer', minimum: 2, maximum: 1e9 } },
}
