/**
 * A web application with Fastify beside a job server: `npm run example:fastify-app`, then open the address it prints.
 * `--port N` chooses the port (default 3000); `--check` asks the application what a program would ask, prints the
 * answers and ends.
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { findServer } from '../server.js'
import { createApp } from './app.js'
import { checkApp } from './check_app.js'

const { values: flags } = parseArgs({
  options: { serve: { type: 'boolean' }, check: { type: 'boolean' }, port: { type: 'string', default: '3000' } },
})

const jobServer = await findServer(new URL('workers/', import.meta.url))
const app = await createApp(jobServer.address)
const address = await app.listen({ port: flags.check ? 0 : Number(flags.port) })
console.log(`the application is at ${address}`)

if (flags.check) await checkApp(address)
else await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])

// The last requests end, then the connection to the job server that they need.
await app.close()
await jobServer.stop()
console.log('closed')
