/** `connect` and `startServer` of a worker: real sockets, in each kind of host. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { MetaWorker, TcpHandler } from 'offstage'
import { testWorker } from 'offstage/testing'
import t from 'tap'
import { WorkerSockets } from '#offstage/actors/sockets/sockets.js'
import { type Rig, rig, SEPARATE_HOSTS, workerSource } from './support.js'

const IMPORTS = `import { TcpHandler } from 'offstage/actors'`

interface Teardown {
  teardown(fn: () => unknown): void
}

interface Address {
  host: string
  port: number
}

/** Connects, and takes the connection down at the end of the test. */
async function client(t: Teardown, { port }: Address): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** A server of the test itself. */
async function server(t: Teardown): Promise<{ server: Server; port: number }> {
  const server = createServer()
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

async function accepted(server: Server): Promise<Socket> {
  const [socket] = (await once(server, 'connection')) as [Socket]
  return socket
}

/** What comes until there are so many bytes. */
async function receive(socket: Socket, bytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  while (length < bytes) {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) await once(socket, 'readable')
    else {
      chunks.push(chunk)
      length += chunk.length
    }
  }
  return Buffer.concat(chunks).toString()
}

/** Resolves when the other side has ended the connection, in good order or not. */
async function over(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  socket.once('end', () => socket.end())
  await once(socket.resume(), 'close')
}

async function refuses({ port }: Address): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  return error.code ?? ''
}

const LISTEN = `
  async listen(port = 0) { const { host, port: taken } = await this.startServer('127.0.0.1', port, Handler); return { host, port: taken } }`

for (const host of ['thread', 'process', 'inline'] as const) {
  const make = (t: Parameters<typeof rig>[0], handler: string, body = ''): Promise<Rig> =>
    rig(
      t,
      workerSource(
        `static host = '${host}'${LISTEN}\n${body}`,
        `${IMPORTS}\nclass Handler extends TcpHandler {\n${handler}\n}`,
      ),
    )
  const listen = async (r: Rig): Promise<Address> => (await r.call('listen')) as Address

  t.test(`sockets of a worker in a host of kind ${host}`, async (t) => {
    t.test('startServer gives each connection a handler of its own, from postInit to unbind', async (t) => {
      const r = await make(
        t,
        `n = this.worker.next()
        postInit() { return this.sendData('hello ' + this.n) }
        receiveData(data) {
          this.sendData(Buffer.from(\`\${this.n} \${Buffer.isBuffer(data)} \${data}\`))
          this.close()
        }
        unbind(reason) { this.worker.cache.set(this.n, [reason ?? null, this.peer]) }`,
        'count = 0\n_unused() {}\nnext() { return ++this.count }',
      )
      const address = await listen(r)
      t.equal(address.host, '127.0.0.1')
      const a = await client(t, address)
      t.equal(await receive(a, 7), 'hello 1')
      const b = await client(t, address)
      t.equal(await receive(b, 7), 'hello 2')
      b.write('from b')
      const [fromA, fromB] = [a.localPort, b.localPort]
      t.equal(await text(b), '2 true from b', 'and close ends it once all is sent')
      a.write('from a')
      t.equal(await text(a), '1 true from a')
      await r.until(() => r.cache.size === 2)
      t.same(r.cache.get('1'), [null, `127.0.0.1:${fromA}`], 'unbind without a reason')
      t.same(r.cache.get('2'), [null, `127.0.0.1:${fromB}`])
    })

    t.test(
      'what was read before the other side hung up is still answered, also by a method that takes time',
      async (t) => {
        const r = await make(
          t,
          `async receiveData(data) {
          for (let i = 0; i < 5; i++) await new Promise((done) => setImmediate(done))
          this.sendData(data)
        }`,
        )
        const socket = await client(t, await listen(r))
        socket.end('last words')
        t.equal(await text(socket), 'last words')
      },
    )

    t.test('connect gives the handler, which hears postInit, connectionCompleted, data and the end', async (t) => {
      const { server: theirs, port } = await server(t)
      const r = await make(
        t,
        `heard = []
        postInit() { this.heard.push('postInit') }
        connectionCompleted() { this.heard.push('connectionCompleted'); this.sendData('ready') }
        receiveData(data) { this.heard.push(String(data)) }
        unbind() { this.worker.cache.set('heard', this.heard) }`,
        `async go(port) {
          const handler = await this.connect('127.0.0.1', port, Handler)
          handler.heard.push('connected')
          await handler.sendData('first, ')
          return [handler.worker === this, handler.peer]
        }`,
      )
      const come = accepted(theirs)
      t.same(await r.call('go', { arg: port }), [true, `127.0.0.1:${port}`])
      const socket = await come
      t.equal(await receive(socket, 12), 'first, ready')
      socket.end('bye')
      await r.until(() => r.cache.has('heard'))
      t.same(r.cache.get('heard'), ['connected', 'postInit', 'connectionCompleted', 'bye'])
    })

    t.test('handlers run as turns: never beside a message, another handler, or themselves', async (t) => {
      const r = await make(
        t,
        `async receiveData(data) { await this.worker.alone(); this.sendData(data) }`,
        `inside = 0
        worst = 0
        async alone() {
          this.worst = Math.max(this.worst, ++this.inside)
          for (let i = 0; i < 3; i++) await new Promise((done) => setImmediate(done))
          this.inside--
          return this.worst
        }`,
      )
      const address = await listen(r)
      const sockets = await Promise.all([client(t, address), client(t, address)])
      const calls = Array.from({ length: 10 }, () => r.call('alone'))
      for (let i = 0; i < 10; i++) {
        for (const socket of sockets) socket.write('x')
        for (const socket of sockets) await receive(socket, 1)
      }
      await Promise.all(calls)
      t.equal(await r.call('alone'), 1)
    })

    t.test('an error in a handler is logged with the worker, and ends that connection and nothing else', async (t) => {
      const r = await make(
        t,
        `receiveData(data) {
          if (String(data) === 'good') return this.sendData(data)
          if (String(data) === 'throw') throw new RangeError('bad data')
          return Promise.reject(new TypeError('bad later'))
        }
        unbind(reason) { this.worker.cache.set(reason.name, reason.message); throw new Error('in unbind too') }`,
      )
      const address = await listen(r)
      const good = await client(t, address)
      for (const [what, name, message] of [
        ['throw', 'RangeError', 'bad data'],
        ['reject', 'TypeError', 'bad later'],
      ] as const) {
        const bad = await client(t, address)
        bad.write(what)
        await over(bad)
        const line = await r.line((line) => line.message?.includes(message) === true)
        t.match(line, {
          level: 'error',
          message: `Handler.receiveData of w failed: ${message}`,
          fields: { worker: 'w', err: { name } },
        })
        await r.until(() => r.cache.has(name))
        t.equal(r.cache.get(name), message, 'it is the reason of unbind')
      }
      await r.line(({ message }) => message === 'Handler.unbind of w failed: in unbind too')
      good.write('good')
      t.equal(await receive(good, 4), 'good')
      t.equal(r.actor.info().restarts, 0)
    })

    t.test('a handler that cannot be made is logged, and its connection ended', async (t) => {
      const r = await make(t, `n = this.worker.missing.n`)
      const socket = await client(t, await listen(r))
      await over(socket)
      await r.line(({ message }) => /^Handler\.postInit of w failed: Cannot read prop/.test(message ?? ''))
    })

    t.test('an other side that breaks the connection is the reason of unbind', async (t) => {
      const r = await make(
        t,
        `postInit() { this.sendData('hello') }
        unbind(reason) { this.worker.cache.set('reason', reason.code) }`,
      )
      const socket = await client(t, await listen(r))
      await receive(socket, 5)
      socket.resetAndDestroy()
      await r.until(() => r.cache.has('reason'))
      t.equal(r.cache.get('reason'), 'ECONNRESET')
    })

    t.test('says which host and port it cannot reach or listen on, and what is wrong with its arguments', async (t) => {
      const { server: theirs, port } = await server(t)
      const r = await make(
        t,
        '',
        `async go([method, ...args]) {
          try { await this[method](...args, args.length < 3 ? Handler : undefined) }
          catch (e) { return [e.name, e.code, e.message] }
        }`,
      )
      const go = (...args: unknown[]) => r.call('go', { arg: args })
      t.match(await go('startServer', '127.0.0.1', port), [
        'ConnectionError',
        'CANNOT_LISTEN',
        `cannot listen on 127.0.0.1:${port}: another program or worker listens there (EADDRINUSE)`,
      ])
      theirs.close()
      await once(theirs, 'close')
      t.match(await go('connect', '127.0.0.1', port), [
        'ConnectionError',
        'CONNECTION',
        `cannot connect to 127.0.0.1:${port}: nothing listens there (ECONNREFUSED)`,
      ])
      for (const [args, message] of [
        [['connect', '', 1], /takes a host/],
        [['connect', 'localhost', 0], /takes a port from 1 to 65535 .*, not 0/],
        [['startServer', 'localhost', 65_536], /takes a port from 0/],
        [['startServer', 'localhost', 0, 'x'], /takes a class that extends TcpHandler/],
      ] as const) {
        t.match(await go(...args), ['InvalidArgument', 'INVALID_ARGUMENT', message])
      }
    })

    t.test(
      'while a handler waits for its turn its connection is not read, and the other side has to wait',
      async (t) => {
        const r = await make(
          t,
          `received = 0
        async receiveData(data) {
          this.received += data.length
          const { cache } = this.worker
          cache.set('received', this.received)
          if (this.worker.open !== undefined) return
          await new Promise((open) => { this.worker.open = open })
        }`,
          `static concurrency = 2
        release() { this.open() }`,
        )
        const socket = await client(t, await listen(r))
        const chunk = Buffer.alloc(1024 ** 2)
        // Beyond what kernels keep for a connection: the write of the rest cannot end before something is read.
        const chunks = 64
        let written = 0
        for (let i = 0; i < chunks; i++) socket.write(chunk, () => (written += chunk.length))
        await r.until(() => r.cache.has('received'))
        t.ok(Number(r.cache.get('received')) <= 1024 ** 2, 'no more than a socket keeps')
        t.ok(socket.writableLength > 0)
        await r.call('release')
        await r.until(() => r.cache.get('received') === chunks * chunk.length)
        t.equal(written, chunks * chunk.length)
      },
    )

    t.test('sendData tells that a slow peer has caught up, and ends one that keeps too much waiting', async (t) => {
      const r = await make(
        t,
        `async receiveData(data) {
          if (String(data) === 'flood') {
            const block = Buffer.alloc(8 * 1024 ** 2)
            for (let i = 0; i < 100; i++) this.sendData(block)
            this.worker.cache.set('flooded', await this.sendData(block))
          } else {
            this.worker.cache.set('more', await this.sendData(Buffer.alloc(32 * 1024 ** 2)))
          }
        }
        unbind(reason) { this.worker.cache.set('reason', reason === undefined ? null : [reason.code, reason.message]) }`,
      )
      const address = await listen(r)
      const quick = await client(t, address)
      quick.write('some')
      await receive(quick, 32 * 1024 ** 2)
      await r.until(() => r.cache.has('more'))
      t.equal(r.cache.get('more'), true)
      quick.end()
      await r.until(() => r.cache.has('reason'))
      t.equal(r.cache.get('reason'), null)
      r.cache.delete('reason')

      const slow = await client(t, address)
      slow.on('error', () => undefined)
      slow.write('flood')
      await r.until(() => r.cache.has('reason'))
      t.match(r.cache.get('reason'), ['OVERLOADED', /^127\.0\.0\.1:\d+ reads too slowly: \d+ bytes wait/])
      t.equal(r.cache.get('flooded'), false)
    })

    t.test('stopping sends what was written, runs unbind, and frees the port', async (t) => {
      const r = await make(
        t,
        `receiveData() { this.sendData('x'.repeat(100_000)); this.worker.cache.set('sent', 1) }
        unbind(reason) { this.worker.cache.set('unbound', reason ?? null) }`,
      )
      const address = await listen(r)
      const socket = await client(t, address)
      socket.write('go')
      await r.until(() => r.cache.has('sent'))
      const all = text(socket)
      await r.actor.stop(60_000)
      t.equal((await all).length, 100_000)
      t.equal(r.cache.get('unbound'), null)
      t.equal(await refuses(address), 'ECONNREFUSED')
    })

    t.test('being ended closes the connections and frees the port at once', async (t) => {
      const r = await make(
        t,
        `postInit() { this.sendData('hello') }
        receiveData() { this.worker.cache.set('stuck', 1); return new Promise(() => undefined) }
        unbind() { this.worker.cache.set('unbound', 1) }`,
      )
      const address = await listen(r)
      const socket = await client(t, address)
      await receive(socket, 5)
      socket.write('go')
      await r.until(() => r.cache.has('stuck'))
      const closed = over(socket)
      await r.actor.stop(0)
      await closed
      t.equal(await refuses(address), 'ECONNREFUSED')
      t.notOk(r.cache.has('unbound'))
    })

    t.test('closing a server frees its port, and leaves its connections', async (t) => {
      const r = await make(
        t,
        'receiveData(data) { this.sendData(data) }',
        `async open() { this.server = await this.startServer('127.0.0.1', 0, Handler); return { host: '', port: this.server.port } }
        close() { this.server.close() }`,
      )
      const address = (await r.call('open')) as Address
      const socket = await client(t, address)
      socket.write('a')
      t.equal(await receive(socket, 1), 'a')
      await r.call('close')
      t.equal(await refuses(address), 'ECONNREFUSED')
      socket.write('b')
      t.equal(await receive(socket, 1), 'b')
    })

    t.test('a pool thread has no sockets, and says so', async (t) => {
      const r = await make(
        t,
        '',
        `go(what) { return this.threadPool.defer(what) }
        there() { return this.connect('127.0.0.1', 1, Handler) }
        thereToo() { return this.startServer('127.0.0.1', 0, Handler) }`,
      )
      await t.rejects(r.call('go', { arg: 'there' }), {
        message: /^connect cannot be used in there, which runs in a pool/,
      })
      await t.rejects(r.call('go', { arg: 'thereToo' }), { message: /^startServer cannot be used in thereToo/ })
    })
  })
}

for (const host of SEPARATE_HOSTS) {
  t.test(`a crash closes the connections, and create gets the same port again, host ${host}`, async (t) => {
    const { server: theirs, port } = await server(t)
    theirs.close()
    await once(theirs, 'close')
    const r = await rig(
      t,
      workerSource(
        `static host = '${host}'
        async create() { await this.startServer('127.0.0.1', ${port}, Handler) }
        crash() { process.exit(1) }`,
        `${IMPORTS}\nclass Handler extends TcpHandler { receiveData(data) { this.sendData(data) } }`,
      ),
    )
    const first = await client(t, { host: '', port })
    first.write('a')
    t.equal(await receive(first, 1), 'a')
    const closed = over(first)
    await t.rejects(r.call('crash'), { code: 'WORKER_CRASHED' })
    await closed
    await r.state('running.idle')
    const second = await client(t, { host: '', port })
    second.write('b')
    t.equal(await receive(second, 1), 'b')
  })
}

t.test('in offstage/testing sockets are real, and end with the run', async (t) => {
  class Echo extends TcpHandler<Echoes> {
    override receiveData(data: Buffer) {
      this.worker.echoed += data.length
      void this.sendData(data)
    }
  }
  class Echoes extends MetaWorker {
    echoed = 0
    port = 0
    override async create() {
      this.port = (await this.startServer('127.0.0.1', 0, Echo)).port
    }
  }
  const run = await testWorker(Echoes)
  const { port } = run.instance
  const socket = await client(t, { host: '', port })
  socket.write('hello')
  t.equal(await receive(socket, 5), 'hello')
  t.equal(run.instance.echoed, 5)
  const ended = once(socket.resume(), 'end')
  await run.close()
  await ended
  t.equal(await refuses({ host: '', port }), 'ECONNREFUSED')
})

t.test('an attempt to connect ends with its signal, and when the worker stops', async (t) => {
  class Silent extends TcpHandler {}
  const { port } = await server(t)
  const sockets = new WorkerSockets({ takeTurn: () => undefined, warn: () => undefined })
  const { signal } = new AbortController()
  const cancel = new AbortController()
  const cancelled = sockets.connect({}, cancel.signal, '127.0.0.1', port, Silent)
  const stopped = sockets.connect({}, signal, '127.0.0.1', port, Silent)
  const listening = sockets.startServer({}, 'localhost', 0, Silent)
  cancel.abort(new RangeError('enough'))
  await t.rejects(cancelled, { name: 'RangeError', message: 'enough' })
  await t.rejects(sockets.connect({}, cancel.signal, '127.0.0.1', port, Silent), { message: 'enough' })
  sockets.stop()
  await t.rejects(stopped, { code: 'CANCELLED' })
  await t.rejects(listening, { code: 'CANNOT_LISTEN' })
  await t.rejects(sockets.connect({}, signal, '127.0.0.1', port, Silent), { code: 'CANCELLED' })
  await t.rejects(sockets.startServer({}, '127.0.0.1', 0, Silent), { code: 'CANCELLED' })
  t.notOk(sockets.busy)
})

t.test('a handler is not made by hand', async (t) => {
  t.throws(() => new TcpHandler(), { code: 'INVALID_ARGUMENT', message: /new TcpHandler\(\) has no connection/ })
})
