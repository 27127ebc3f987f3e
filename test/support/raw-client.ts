/** A client that sends what `MiddleMan` never would: bodies of CALL frames byte by byte. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { OffstageError } from 'offstage/middleman'
import { decodeValue } from '#offstage/wire/codec.js'
import { Connection } from '#offstage/wire/connection.js'
import { type Envelope, envelope, envelopeBound, writeEnvelope } from '#offstage/wire/envelope.js'
import { decodeFailure } from '#offstage/wire/failure.js'
import { FrameType } from '#offstage/wire/frame.js'
import { writePreamble } from '#offstage/wire/handshake.js'

export interface Answer {
  /** 0 for an ERROR that ends the connection. */
  corr: number
  value?: unknown
  error?: OffstageError
}

export class RawClient {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  readonly #connection: Connection
  readonly #waiting: ((answer: Answer) => void)[] = []
  #lastCorr = 0
  answers = 0

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(writePreamble())
    let ready = () => {}
    const greeted = new Promise<void>((resolve) => {
      ready = resolve
    })
    const client = new RawClient(socket, () => ready())
    await greeted
    return client
  }

  private constructor(socket: ReturnType<typeof connect>, ready: () => void) {
    let ended = () => {}
    this.closed = new Promise((resolve) => {
      ended = resolve
    })
    this.#connection = new Connection(
      socket,
      1 << 20,
      {
        frame: (type, _flags, corr, bytes, start, end) => {
          if (type === FrameType.READY) ready()
          else if (type === FrameType.RESULT) this.#answer({ corr, value: decodeValue(bytes, start, end) })
          else if (type === FrameType.ERROR) this.#answer({ corr, error: decodeFailure(bytes, start, end) })
        },
        close: ended,
      },
      { client: true },
    )
  }

  /** Sends one call and resolves to the answer that comes next. */
  send(body: Uint8Array): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => this.#waiting.push(resolve))
    this.#connection.out.frame(FrameType.CALL, 0, ++this.#lastCorr, body)
    return answer
  }

  end(): void {
    this.#connection.end()
  }

  #answer(answer: Answer): void {
    this.answers++
    this.#waiting.shift()?.(answer)
  }
}

/** A body: an envelope with these fields, and whatever bytes behind it. */
export function body(verb: number, fields: Partial<Envelope>, argument: Uint8Array = new Uint8Array(0)): Buffer {
  const head = Object.assign(envelope(verb), fields)
  const bytes = Buffer.alloc(envelopeBound(head))
  return Buffer.concat([bytes.subarray(0, writeEnvelope(bytes, 0, head)), argument])
}
