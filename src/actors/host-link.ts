/**
 * The supervisor's end of the channel to one host, from its start to its exit: writes frames into the batch
 * that is sent next, and says what the host's frames mean.
 */
import type { OffstageError } from '../errors.js'
import { decodeValue, encodeValue } from '../wire/codec.js'
import { encodeFailure } from '../wire/failure.js'
import { FrameReader, HEADER_BYTES, writeHeader } from '../wire/frame.js'
import { Outbox } from '../wire/outbox.js'
import { type CacheChange, readCacheFrame, writeCacheFrame } from './cache-frame.js'
import type { WorkerDescription } from './description.js'
import type { Progress } from './gauge.js'
import type { Host, HostOptions, Launch } from './hosts/host.js'
import type { Mailbox } from './mailbox.js'
import type { Message } from './message.js'
import {
  DEADLINE_BYTES,
  HostFrame,
  LAST_HOST_FRAME,
  LEAVE,
  type LoadFailure,
  type LoadRequest,
  type LogLine,
  MAX_HOST_BODY,
  OVERDUE,
  RELEASE,
  TIMED,
} from './messages.js'

import type { Placement } from './placement.js'
import type { HostKind } from './settings.js'

const EMPTY_MAP = Uint8Array.of(0xa0)
const UNDEFINED = Uint8Array.of(0xf7)
const YES = Uint8Array.of(1)
const NO = Uint8Array.of(0)

/** Milliseconds until a host that was killed counts as gone. */
const KILLED_WITHIN = 2_000

export interface LinkEvents {
  /** Something is to be sent: call `flush` before this event-loop turn ends. */
  wake(): void
  loaded(description: WorkerDescription): void
  loadFailed(failure: LoadFailure): void
  created(): void
  /** The body of an ERROR. */
  createFailed(body: Uint8Array): void
  cache(change: CacheChange): void | Promise<void>
  log(line: LogLine): void
  output(stream: 'stdout' | 'stderr', text: string): void
  stopped(): void
  /** A batch has been worked off. */
  batchDone(): void
  /** `normal`: by itself, with the exit code 0. */
  exit(reason: Error, normal: boolean): void
}

export class HostLink {
  readonly placement: Placement
  readonly #host: Host
  readonly #out: Outbox
  readonly #reader: FrameReader
  readonly #events: LinkEvents
  /** Where answers to messages go; set once the class is known. */
  mailbox: Mailbox | undefined
  #over = false
  #killed: Error | undefined

  constructor(launch: Launch, options: HostOptions, events: LinkEvents) {
    this.placement = options
    this.#events = events
    this.#out = new Outbox(() => {
      events.wake()
      return Number.POSITIVE_INFINITY
    })
    this.#reader = new FrameReader({ maxBody: MAX_HOST_BODY, maxType: LAST_HOST_FRAME }, this.#frame)
    this.#host = launch(options, {
      batch: (batch) => this.#receive(batch),
      line: (stream, text) => events.output(stream, text),
      exit: (reason, normal) => this.#exited(reason, normal),
    })
  }

  get kind(): HostKind {
    return this.placement.host
  }

  get progress(): Progress {
    return this.#host.gauge.look()
  }

  /** Messages that the host has taken from its queue, modulo 2^32. */
  get taken(): number {
    return this.#host.gauge.taken
  }

  /** Milliseconds; 0 while unknown. */
  get meanTurn(): number {
    return this.#host.gauge.meanTurn
  }

  load(request: LoadRequest): void {
    this.#out.frame(HostFrame.LOAD, 0, 0, encodeValue(request, 'load'))
  }

  /** `data` is CBOR. */
  create(data: Uint8Array | undefined): void {
    this.#out.frame(HostFrame.CREATE, 0, 0, data === undefined || data.length === 0 ? UNDEFINED : data)
  }

  turn(message: Message): void {
    const { body, deadline } = message
    const timed = deadline > 0
    const length = body.length + (timed ? DEADLINE_BYTES : 0)
    let at = this.#out.reserve(HEADER_BYTES + length)
    const { chunk } = this.#out
    writeHeader(chunk, at, HostFrame.TURN, timed ? TIMED : 0, message.index, length)
    at += HEADER_BYTES
    if (timed) at = chunk.writeDoubleBE(deadline, at)
    chunk.set(body, at)
    this.#out.commit(at + body.length)
  }

  cancel(index: number, overdue: boolean): void {
    this.#out.frame(HostFrame.CANCEL, overdue ? OVERDUE : 0, index, EMPTY_MAP)
  }

  cache(change: CacheChange): void {
    writeCacheFrame(this.#out, change)
  }

  /** `leave`: the host forgets the messages that it has not started. */
  stop(leave: boolean): void {
    this.#out.frame(HostFrame.STOP, leave ? LEAVE : 0, 0, EMPTY_MAP)
  }

  flush(): void {
    if (this.#out.bytes > 0 && !this.#over) this.#host.post(this.#out.takeOwned())
  }

  /** Ends the host at once; nothing is heard from it any more. */
  end(): Promise<void> {
    this.#over = true
    return this.#host.end()
  }

  /** Ends the host for this reason, and hears until then what it still has to say. */
  kill(reason: Error): void {
    if (this.#killed !== undefined) return
    this.#killed = reason
    // A thread inside native code ends only when that returns; the worker does not wait for it.
    const tooLong = setTimeout(() => this.#exited(reason, false), KILLED_WITHIN)
    void this.#host.end().then(() => clearTimeout(tooLong))
  }

  #exited(reason: Error, normal: boolean): void {
    if (this.#over) return
    this.#over = true
    this.#events.exit(this.#killed ?? reason, normal && this.#killed === undefined)
  }

  #receive(batch: Uint8Array): void {
    if (this.#over) return
    this.#reader.push(Buffer.from(batch.buffer as ArrayBuffer, batch.byteOffset, batch.byteLength))
    this.#events.batchDone()
  }

  readonly #frame = (type: number, flags: number, corr: number, bytes: Buffer, start: number, end: number): void => {
    switch (type) {
      case HostFrame.RESULT:
        this.mailbox?.result(corr, bytes, start, end)
        return
      case HostFrame.FAILED:
        this.mailbox?.failed(corr, bytes, start, end)
        return
      case HostFrame.ENDED:
        this.mailbox?.ended(corr)
        return
      case HostFrame.SETTLE: {
        const token = bytes.readUInt32BE(start)
        const how = (flags & RELEASE) !== 0 ? 'release' : 'finish'
        this.mailbox?.settle(corr, how, (current) => this.#settled(token, current))
        return
      }
      case HostFrame.CACHE:
        this.#store(readCacheFrame(flags, corr, bytes, start, end))
        return
      case HostFrame.LOG:
        this.#events.log(decodeValue(bytes, start, end) as LogLine)
        return
      case HostFrame.LOADED:
        this.#events.loaded(decodeValue(bytes, start, end) as WorkerDescription)
        return
      case HostFrame.LOAD_FAILED:
        this.#events.loadFailed(decodeValue(bytes, start, end) as LoadFailure)
        return
      case HostFrame.CREATED:
        this.#events.created()
        return
      case HostFrame.CREATE_FAILED:
        this.#events.createFailed(bytes.subarray(start, end))
        return
      case HostFrame.PROGRESS:
        this.mailbox?.progress(corr, bytes, start, end)
        return
      case HostFrame.TOLD:
        this.mailbox?.told(corr)
        return
      case HostFrame.STOPPED:
        this.#events.stopped()
    }
  }

  #store(change: CacheChange): void {
    const stored = this.#events.cache(change)
    stored?.then(
      () => this.#stored(change, EMPTY_MAP),
      (error: OffstageError) => this.#stored(change, encodeFailure(error)),
    )
  }

  #stored({ number }: CacheChange, body: Uint8Array): void {
    if (!this.#over) this.#out.frame(HostFrame.STORED, 0, number, body)
  }

  #settled(token: number, current: boolean): void {
    if (!this.#over) this.#out.frame(HostFrame.SETTLED, 0, token, current ? YES : NO)
  }
}
