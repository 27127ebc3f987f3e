/**
 * One TCP connection of a worker and its handler, whose methods run one after the other as turns of the worker: first
 * `postInit`, last `unbind`. What the other side sends waits in the socket until its turn, and so, in the end, with the
 * other side.
 */
import type { Socket } from 'node:net'
import { InvalidArgument, Overloaded } from '../../errors.js'
import type { HandlerLink, TcpHandler } from './handler.js'

/** Bytes that wait to be sent while nothing more is read from the same connection. */
const READ_BELOW = 1024 ** 2
/** More than this is kept for nobody. */
const MOST_UNSENT = 64 * 1024 ** 2

/** Milliseconds without a word until TCP asks whether the other side is still there. */
const KEEP_ALIVE_AFTER = 60_000

/** Runs this as a turn of the worker; `ended` hears what it threw, which has been logged, or undefined. */
export type TakeTurn = (name: string, run: () => unknown, ended: (thrown: unknown) => void) => void

interface Step {
  readonly name: string
  run(): unknown
}

export class Connection implements HandlerLink {
  readonly worker: object
  readonly #socket: Socket
  readonly #takeTurn: TakeTurn
  readonly #over: () => void
  /** The first turns. */
  #steps: Step[] = []
  #handler: TcpHandler | undefined
  #inTurn = false
  /** The other side sends no more, and all that it has sent was read. */
  #heardAll = false
  /** Nothing is received any more. */
  #ending = false
  #closed = false
  #unbound = false
  #reason: Error | undefined
  #peer = ''
  /** Of `send`, each waiting until the other side has caught up. */
  #senders: ((more: boolean) => void)[] = []

  /** `over` is called when `unbind` has run, or `discard` was called. */
  constructor(socket: Socket, worker: object, takeTurn: TakeTurn, over: () => void) {
    this.worker = worker
    this.#socket = socket
    this.#takeTurn = takeTurn
    this.#over = over
    socket.on('error', (error) => {
      this.#reason ??= error
    })
    socket.on('end', () => {
      this.#heardAll = true
      this.#next()
    })
    socket.on('close', () => this.#hasClosed())
    socket.on('drain', () => this.#hasDrained())
  }

  get peer(): string {
    return this.#peer
  }

  /** The connection stands. `make` is called in the first turn. */
  begin(make: () => TcpHandler, outbound: boolean): void {
    const socket = this.#socket
    this.#peer = `${socket.remoteAddress}:${socket.remotePort}`
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_AFTER)
    this.#steps = [{ name: 'postInit', run: () => this.#make(make).postInit() }]
    if (outbound) this.#steps.push({ name: 'connectionCompleted', run: () => this.#handler?.connectionCompleted() })
    socket.on('readable', () => {
      // With nothing there, this is the end of what the other side sends, which shows only when it is read.
      if (socket.readableLength === 0) socket.read()
      else this.#next()
    })
    this.#next()
  }

  send(data: string | Uint8Array): Promise<boolean> {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
      throw new InvalidArgument(`sendData takes text or bytes (a Buffer or Uint8Array), not ${kindOf(data)}`)
    }
    const socket = this.#socket
    if (this.#ending || socket.destroyed || socket.writableEnded) return Promise.resolve(false)
    if (socket.write(data)) return Promise.resolve(true)
    if (socket.writableLength > MOST_UNSENT) {
      this.fail(new Overloaded(`${this.#peer} reads too slowly: ${socket.writableLength} bytes wait to be sent to it`))
      return Promise.resolve(false)
    }
    return new Promise((resolve) => this.#senders.push(resolve))
  }

  close(): void {
    this.#ending = true
    this.#steps = []
    this.#socket.destroySoon()
  }

  /** Ends it at once, with this as the reason. */
  fail(reason: Error): void {
    this.#reason ??= reason
    this.#ending = true
    this.#steps = []
    this.#socket.destroy()
  }

  /** Ends it at once, and without further turns. */
  discard(): void {
    this.#unbound = true
    this.fail(new Error('the worker has ended'))
    this.#over()
  }

  #make(make: () => TcpHandler): TcpHandler {
    this.#handler ??= make()
    return this.#handler
  }

  #next(): void {
    if (this.#inTurn) return
    const step = this.#step()
    if (step === undefined) {
      // Not before the turn that took the last of it, which may have had something to answer.
      if (this.#heardAll && !this.#ending) this.close()
      return
    }
    this.#inTurn = true
    this.#takeTurn(step.name, step.run, (thrown) => {
      this.#inTurn = false
      if (thrown !== undefined) this.fail(thrown instanceof Error ? thrown : new Error(String(thrown)))
      if (step.name === 'unbind') this.#over()
      else this.#next()
    })
  }

  #step(): Step | undefined {
    const first = this.#steps.shift()
    if (first !== undefined) return first
    if (this.#closed) {
      if (this.#unbound) return undefined
      this.#unbound = true
      return { name: 'unbind', run: () => this.#handler?.unbind(this.#reason) }
    }
    const reads = !this.#ending && this.#socket.readableLength > 0 && this.#socket.writableLength < READ_BELOW
    return reads ? { name: 'receiveData', run: () => this.#receive() } : undefined
  }

  #receive(): unknown {
    if (this.#ending) return undefined
    const data: Buffer | null = this.#socket.read()
    return data === null ? undefined : this.#handler?.receiveData(data)
  }

  #hasDrained(): void {
    for (const resolve of this.#senders.splice(0)) resolve(true)
    this.#next()
  }

  #hasClosed(): void {
    this.#closed = true
    for (const resolve of this.#senders.splice(0)) resolve(false)
    this.#next()
  }
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}
