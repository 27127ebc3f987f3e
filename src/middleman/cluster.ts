/**
 * The servers that an application calls, as one: chooses for each call, keeps the calls that find none, and moves those
 * that certainly did not run, or may run again, to another server. docs/CLUSTER.md has the rules.
 */
import {
  AuthenticationFailed,
  Cancelled,
  ConnectionError,
  NoServerAvailable,
  type OffstageError,
  OutcomeUnknown,
} from '../errors.js'
import { Verb } from '../wire/envelope.js'
import { Rendezvous } from '../wire/rendezvous.js'
import type { Address } from './addresses.js'
import { type Call, type CallOwner, cancelled, HARMLESS } from './call.js'
import type { ChannelOptions } from './channel.js'
import { Link, type LinkOwner } from './link.js'
import { placeKey } from './place.js'
import { Rotation } from './rotation.js'
import { SharedResults, type SharedStorage } from './shared-results.js'
import { WaitingRoom } from './waiting-room.js'

export interface ClusterOptions extends Omit<ChannelOptions, 'timeout'> {
  /** In the order of their turns. */
  readonly addresses: readonly Address[]
  /** Which of them `host: 'local'` means; by default the first. */
  readonly local?: Address
  /** Milliseconds that a call waits for a server. */
  readonly connectTimeout: number
  /** Milliseconds for a call that has no timeout of its own; -1 for none. */
  readonly timeout: number
  /** Where cached results are; by default with the servers. */
  readonly results?: SharedStorage
}

const HEARTBEAT_CHECK = 1_000
/** Milliseconds that connecting waits for further servers once there is one. */
const FURTHER_SERVERS = 1_000
/** Errors after which another server may do better, if nothing ran. */
const ELSEWHERE = new Set(['DRAINING', 'OVERLOADED', 'NO_WORKER', 'WORKER_STOPPED'])

export class Cluster implements LinkOwner, CallOwner {
  readonly links: readonly Link[]
  readonly #local: Link
  readonly #connectTimeout: number
  readonly #timeout: number
  readonly #rotation: Rotation<Link>
  readonly #places: Rendezvous<Link>
  readonly #waiting: WaitingRoom
  readonly #heartbeat: NodeJS.Timeout
  readonly #results: SharedResults | undefined
  #onProgress: (() => void) | undefined
  /** Calls that came before it was known who is up, and what is done with them then. */
  readonly #early = new Map<Call, () => void>()
  #closed = false

  constructor(options: ClusterOptions) {
    const { addresses, local, connectTimeout, timeout, results, ...channel } = options
    this.links = addresses.map((address) => new Link(address, this, { ...channel, timeout: connectTimeout }))
    this.#local = this.links.find(({ address }) => address.text === local?.text) ?? this.links[0]!
    this.#connectTimeout = connectTimeout
    this.#timeout = timeout
    this.#results = results === undefined ? undefined : new SharedResults(results)
    this.#rotation = new Rotation(this.links)
    this.#places = new Rendezvous(this.links, ({ address }) => address.text)
    this.#waiting = new WaitingRoom(connectTimeout, (call) => {
      call.fail(this.unavailable(call.title, call))
      this.#hold()
    })
    this.#heartbeat = setInterval(() => {
      for (const link of this.links) link.heartbeat()
    }, HEARTBEAT_CHECK).unref()
  }

  /**
   * Resolves when each server was reached or not, and one second after the first at the latest. Rejects when every server
   * was tried once in vain; then the cluster is closed.
   */
  connect(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let further: NodeJS.Timeout | undefined
      const finish = (error?: Error) => {
        this.#onProgress = undefined
        clearTimeout(further)
        signal?.removeEventListener('abort', onAbort)
        this.#endEarly(error)
        this.#hold()
        if (error === undefined) resolve()
        else this.close(0).then(() => reject(error))
      }
      const onAbort = () => finish(new Cancelled('connecting was aborted by its signal', { cause: signal?.reason }))
      this.#onProgress = () => {
        const open = this.links.some((link) => link.open)
        const all = this.links.every((link) => link.open || link.failure !== undefined)
        if (all) finish(open ? undefined : this.#unreachable())
        else if (open) further ??= setTimeout(finish, FURTHER_SERVERS)
      }
      if (signal?.aborted) {
        onAbort()
        return
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#hold()
      for (const link of this.links) link.dial()
    })
  }

  /** Sends a call; its promise is that of the answer. While it is not known who is up, the call waits for that. */
  call(call: Call): Promise<unknown> {
    const { aborted } = call
    if (aborted !== undefined) return Promise.reject(cancelled(call, aborted))
    if (call.limit < 0) call.limit = this.#timeout
    const promise = call.begin(this)
    // The instance may have come to a server that did not have it.
    if (call.verb === Verb.NEW_WORKER) call.wrap = (value) => this.#started(call, value)
    if (this.#results?.concerns(call)) {
      if (this.#closed) call.fail(closed(call))
      else this.#results.serve(call)
    } else if (!this.connecting) this.#send(call)
    else {
      call.delayed = true
      this.#early.set(call, () => this.#send(call))
    }
    return promise
  }

  /** `connect` has not ended: it is not known who is up. */
  get connecting(): boolean {
    return this.#onProgress !== undefined
  }

  /** While connecting: resolves when it is known who is up, or rejects as `call` would, which is not sent. */
  known(call: Call): Promise<unknown> {
    const { aborted } = call
    if (aborted !== undefined) return Promise.reject(cancelled(call, aborted))
    if (call.limit < 0) call.limit = this.#timeout
    const promise = call.begin(this)
    this.#early.set(call, () => call.succeed(undefined))
    return promise
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The server that `'local'` or an address means; undefined for one that is not of this cluster. */
  find(host: string): Link | undefined {
    return host === 'local' ? this.#local : this.links.find(({ address }) => address.text === host)
  }

  /** The server that has the jobs of a place (see place.ts) now, or would have them when all are back. */
  placeOf(key: string): Link {
    return this.#places.find(key, (link) => link.open) ?? this.#places.find(key, () => true)!
  }

  /** Why nobody can take it; `call` has been waiting for that, or does not wait. */
  unavailable(title: string, call?: Call): NoServerAvailable {
    const links = call?.to === undefined ? this.links : this.links.filter((link) => link === call.to)
    const who = call?.to === undefined ? 'no server' : call.to.address.text
    const can = call?.to === undefined ? 'can' : 'cannot'
    const time = call?.delayed ? ` within ${this.#connectTimeout} ms` : ''
    const failures = links.map(({ failure, address }) => failure?.message ?? address.text)
    const cause = links.findLast(({ failure }) => failure !== undefined)?.failure
    return new NoServerAvailable(`${who} ${can} be reached for ${title}${time}: ${failures.join('; ')}`, {
      executed: call?.executed ?? 'no',
      cause,
    })
  }

  forget(call: Call): void {
    if (this.#early.delete(call)) return
    if (this.#waiting.delete(call)) this.#hold()
    else for (const link of this.links) link.forget(call)
  }

  /** Cached results are not with the servers: who asks for one need not go to all of them. */
  get sharesResults(): boolean {
    return this.#results !== undefined
  }

  /** Takes no more calls, and ends when those under way are answered, at the latest after `timeout` ms. */
  async close(timeout: number): Promise<void> {
    this.#closed = true
    clearInterval(this.#heartbeat)
    this.#onProgress = undefined
    for (const call of this.#early.keys()) call.fail(closed(call))
    this.#early.clear()
    for (const call of this.#waiting.list()) {
      this.#waiting.delete(call)
      call.fail(closed(call))
    }
    await Promise.all([...this.links.map((link) => link.close(timeout)), this.#results?.close(timeout)])
  }

  up(): void {
    for (const call of this.#waiting.list()) {
      const link = this.#choose(call)
      if (link === undefined) continue
      this.#waiting.delete(call)
      link.send(call)
    }
    this.#hold()
    this.#onProgress?.()
  }

  failed(): void {
    this.#onProgress?.()
  }

  returned(calls: readonly Call[]): void {
    for (const call of calls) this.#send(call)
  }

  refused(link: Link, call: Call, error: OffstageError): void {
    if (this.links.length === 1 || call.to !== undefined || error.executed !== 'no' || !ELSEWHERE.has(error.code)) {
      call.fail(honest(call, error))
      return
    }
    if (error.code === 'OVERLOADED') this.#rotation.rest(link)
    else if (error.code !== 'DRAINING') this.#rotation.absent(link, call)
    call.asked ??= new Set()
    call.asked.add(link)
    call.channel = undefined
    call.delayed = true
    const other = this.#choose(call)
    if (other === undefined) call.fail(honest(call, error))
    else other.send(call)
  }

  #started(call: Call, value: unknown): unknown {
    this.#rotation.started(call)
    return value
  }

  #endEarly(error: Error | undefined): void {
    const early = [...this.#early]
    this.#early.clear()
    for (const [call, go] of early) {
      if (error === undefined) go()
      else call.fail(error)
    }
  }

  #send(call: Call): void {
    const link = this.#closed ? undefined : this.#choose(call)
    if (link !== undefined) link.send(call)
    else if (this.#closed) call.fail(closed(call))
    else if (call.patient) {
      this.#waiting.add(call)
      this.#hold()
    } else call.fail(this.unavailable(call.title, call))
  }

  /** Who takes it now; undefined when it has to wait. */
  #choose(call: Call): Link | undefined {
    if (call.to !== undefined) return this.links.find((link) => link === call.to && link.open)
    if (this.links.length === 1) return this.links[0]!.open ? this.links[0] : undefined
    if (call.place === '' && PLACED.has(call.verb)) call.place = placeKey(call.worker, call.workerKey, call.jobKey)
    if (call.place === '') return this.#rotation.next(call)
    return this.#places.find(call.place, (link) => link.open && !call.asked?.has(link))
  }

  /** A process stays for the calls that wait, and for connecting. */
  #hold(): void {
    const yes = this.#onProgress !== undefined || !this.#waiting.empty
    for (const link of this.links) link.hold(yes)
  }

  #unreachable(): Error {
    const failures = this.links.map(({ failure }) => failure!)
    // A wrong password is no outage: who connects hears of it as it is.
    const refused = failures.find((failure) => failure instanceof AuthenticationFailed)
    const reasons = failures.map(({ message }) => message).join('; ')
    return refused ?? new NoServerAvailable(`no server can be reached: ${reasons}`, { cause: failures.at(-1) })
  }
}

/** Their job key says where they go. */
const PLACED = new Set<number>([Verb.ENQUEUE, Verb.DEQUEUE])

/** Who refuses a call knows only of itself: on a server whose connection broke before, it may have run. */
function honest(call: Call, error: OffstageError): OffstageError {
  if (!call.sent || error.executed !== 'no' || HARMLESS.has(call.verb)) return error
  return new OutcomeUnknown(
    `${call.title} may have run on a server whose connection broke, and could not be run again: ${error.message}`,
    { cause: error },
  )
}

/** It may have been sent already, and have waited to be sent again. */
function closed(call: Call): ConnectionError {
  return new ConnectionError('this MiddleMan was closed', { executed: call.executed, retryable: false }, 'CLOSED')
}
