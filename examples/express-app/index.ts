/**
 * A web application beside a job server: `npm run example:express-app`, then open the address it prints.
 * `--port N` chooses the port (default 3000); `--check` asks the application what a browser would ask, prints
 * the answers and ends.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { MiddleMan } from 'offstage/middleman'
import { findServer } from '../server.js'
import { createApp } from './app.js'
import { checkApp } from './check_app.js'

const { values: flags } = parseArgs({
  options: { serve: { type: 'boolean' }, check: { type: 'boolean' }, port: { type: 'string', default: '3000' } },
})

const jobServer = await findServer(new URL('workers/', import.meta.url))
// One MiddleMan for the whole process: it keeps one connection for all requests.
const middleMan = await MiddleMan.connect({ client: jobServer.address })

const web = createApp(middleMan).listen(flags.check ? 0 : Number(flags.port), '127.0.0.1')
await once(web, 'listening')
const address = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
console.log(`the application is at ${address}`)

if (flags.check) await checkApp(address)
else await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])

// First no new requests, then no connection to the job server that the last request may need.
const closed = once(web, 'close')
web.close()
await closed
await middleMan.close()
await jobServer.stop()
console.log('closed')
