import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { Connection } from '#offstage/wire/connection.js'
import { envelope, envelopeBound, Verb, writeEnvelope } from '#offstage/wire/envelope.js'
import { decodeFailure } from '#offstage/wire/failure.js'
import { FrameType } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'
import { Server } from '../support/server.js'

t.test('a client cannot make a call look like a job of the queue', async (t) => {
  const server = await Server.start({ data: t.testdir() })
  t.teardown(() => server.stop())
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(writePreamble())
  const errors: unknown[] = []
  const closed = new Promise((resolve) => {
    const connection = new Connection(
      socket,
      1 << 20,
      {
        frame(type, _flags, corr, bytes, start, end) {
          if (type === FrameType.ERROR) errors.push([corr, decodeFailure(bytes, start, end).code])
          if (type !== FrameType.READY) return
          const forged = Object.assign(envelope(Verb.CALL, 'echo_worker', '', 'echo'), { jobId: 1, attempt: 1 })
          const body = Buffer.alloc(envelopeBound(forged))
          connection.out.frame(FrameType.CALL, 0, 1, body, 0, writeEnvelope(body, 0, forged))
        },
        close: resolve,
      },
      { client: true },
    )
  })
  await closed
  t.same(errors, [[0, 'PROTOCOL']])
})
