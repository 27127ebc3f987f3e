/** The client of the floors: one connection, a promise a call, one write a turn. No deadlines, no errors, no reconnecting. */
import { once } from 'node:events'
import net from 'node:net'
import { cbor, eachFrame, Reassembly, TurnBatch } from './frames.js'

export class FloorClient {
  readonly #socket: net.Socket
  readonly #batch: TurnBatch
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  readonly #stream = new Reassembly()
  #last = 0

  private constructor(socket: net.Socket) {
    this.#socket = socket
    this.#batch = new TurnBatch((batch) => socket.write(batch))
    socket.on('data', (chunk: Buffer) => {
      const bytes = this.#stream.join(chunk)
      this.#stream.keep(bytes, eachFrame(bytes, this.#answered))
    })
  }

  static async connect(port: number): Promise<FloorClient> {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new FloorClient(socket)
  }

  /** Sends `[n, message]` and resolves with the message of the answer `[n, message]`. */
  call(message: unknown): Promise<unknown> {
    const n = ++this.#last
    this.#batch.add([n, message])
    return new Promise((resolve) => this.#waiting.set(n, resolve))
  }

  close(): void {
    this.#socket.destroy()
  }

  readonly #answered = (bytes: Buffer, start: number, end: number): void => {
    const [n, message] = cbor.decode(bytes.subarray(start, end)) as [number, unknown]
    const resolve = this.#waiting.get(n)
    if (resolve === undefined) throw new Error(`the floor answered call ${n}, which is not waiting`)
    this.#waiting.delete(n)
    resolve(message)
  }
}
