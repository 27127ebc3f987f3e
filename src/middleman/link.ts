/**
 * The way to the server, kept open: one channel at a time, the next one after a loss, with backoff and jitter.
 * Calls that find no channel wait here, for at most `connectTimeout` and never beyond their deadline.
 */
import { AuthenticationFailed, Cancelled, ConnectionError, NoServerAvailable, OutcomeUnknown } from '../errors.js'
import type { PeerLimits } from '../wire/limits.js'
import type { Credentials } from '../wire/scram.js'
import type { Address } from './addresses.js'
import type { Call, CallOwner } from './call.js'
import { Channel, type ChannelOptions, type ChannelOwner } from './channel.js'
import type { TlsOptions } from './endpoint.js'

export interface LinkOptions {
  readonly addresses: readonly Address[]
  /** Milliseconds that a call waits for a server. */
  readonly connectTimeout: number
  /** Milliseconds for a call that has no timeout of its own; -1 for none. */
  readonly timeout: number
  /** Calls on one connection. */
  readonly maxCorr?: number
  /** What it asks of a server. */
  readonly limits?: PeerLimits
  /** Who it is. */
  readonly credentials?: Credentials
  readonly tls?: TlsOptions
}

/** Milliseconds before the next round of attempts: the first, doubled each time, up to the longest. */
const FIRST_BACKOFF = 50
const LONGEST_BACKOFF = 5_000
/** While calls wait, more often than that. */
const LONGEST_BACKOFF_WAITED_FOR = 500
const HEARTBEAT_CHECK = 1_000

export class Link implements ChannelOwner, CallOwner {
  readonly addresses: readonly Address[]
  readonly connectTimeout: number
  readonly timeout: number
  readonly #channelOptions: Omit<ChannelOptions, 'timeout'>
  /** In the order of their `waitUntil`. */
  readonly #waiting = new Set<Call>()
  /** Channels whose last calls are being answered. */
  readonly #leaving = new Set<Channel>()
  #channel: Channel | undefined
  #dialing: Channel | undefined
  /** Of `addresses`, the one that was tried last. */
  #at = 0
  /** Attempts since a channel was open or a round began, and rounds that failed. */
  #tried = 0
  #rounds = 0
  #failures: Error[] = []
  #retry: NodeJS.Timeout | undefined
  #waitTimer: NodeJS.Timeout | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #closed = false
  #onRound: ((error: Error | undefined) => void) | undefined
  #onDrained: (() => void) | undefined

  constructor(options: LinkOptions) {
    const { addresses, connectTimeout, timeout, ...channelOptions } = options
    this.addresses = addresses
    this.connectTimeout = connectTimeout
    this.timeout = timeout
    this.#channelOptions = channelOptions
  }

  /** A link of its own to one server, by the same means. */
  to(address: Address): Link {
    const { connectTimeout } = this
    return new Link({ ...this.#channelOptions, addresses: [address], connectTimeout, timeout: -1 })
  }

  /** The server that calls go to now; undefined while there is none. */
  get server(): Address | undefined {
    return this.#channel?.address
  }

  /** Opens the first channel, or rejects when every server was tried once in vain; then the link is closed. */
  connect(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error: Error | undefined) => {
        this.#onRound = undefined
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        else {
          this.#destroy()
          reject(error)
        }
      }
      const onAbort = () => finish(new Cancelled('connecting was aborted by its signal', { cause: signal?.reason }))
      this.#onRound = finish
      if (signal?.aborted) {
        onAbort()
        return
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#dial()
      this.#dialing?.hold(true)
    })
  }

  /** Takes a call whose promise has begun, and sees it to its end. */
  send(call: Call): void {
    const channel = this.#channel
    if (channel !== undefined) channel.send(call)
    else this.#wait(call)
  }

  forget(call: Call): void {
    if (!this.#waiting.delete(call)) {
      this.#channel?.forget(call)
      for (const channel of this.#leaving) channel.forget(call)
    }
    if (this.#waiting.size === 0) this.#holdDialing(false)
  }

  /** Takes no more calls, and ends when those under way are answered, at the latest after `timeout` ms. */
  async close(timeout: number): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      for (const call of this.#takeWaiting()) call.fail(closed(call))
      this.#stopDialing()
      const channel = this.#channel
      if (channel !== undefined) this.leaving(channel, [])
    }
    if (this.#leaving.size > 0) {
      const timer = setTimeout(() => this.#destroy(), timeout)
      await new Promise<void>((resolve) => {
        const others = this.#onDrained
        this.#onDrained = () => {
          others?.()
          resolve()
        }
        for (const channel of this.#leaving) channel.finish()
      })
      clearTimeout(timer)
    }
    this.#destroy()
  }

  ready(channel: Channel): void {
    this.#dialing = undefined
    this.#channel = channel
    this.#tried = 0
    this.#rounds = 0
    this.#failures = []
    this.#heartbeat ??= setInterval(() => this.#checkPeers(), HEARTBEAT_CHECK).unref()
    this.#onRound?.(undefined)
    for (const call of this.#takeWaiting()) this.send(call)
  }

  leaving(channel: Channel, unserved: Call[]): void {
    this.#leaving.add(channel)
    if (channel === this.#channel) this.#channel = undefined
    for (const call of unserved) this.#wait(call)
    if (this.#closed) return
    // A server that leaves is the last one to ask.
    this.#at = (this.addresses.indexOf(channel.address) + 1) % this.addresses.length
    this.#dial()
  }

  lost(channel: Channel, error: Error | undefined, unanswered: Call[]): void {
    const left = this.#leaving.delete(channel)
    if (channel === this.#dialing) {
      this.#dialing = undefined
      this.#attemptFailed(error ?? new ConnectionError(`${channel.address.text} ended the connection`))
      return
    }
    if (channel === this.#channel) this.#channel = undefined
    for (const call of unanswered) this.#afterLoss(call, channel.address, error)
    if (this.#closed) {
      if (this.#leaving.size === 0) this.#onDrained?.()
    } else if (!left) this.#dial()
  }

  #afterLoss(call: Call, address: Address, error: Error | undefined): void {
    if (!call.sent || call.repeatable) {
      this.#wait(call)
      return
    }
    call.fail(
      new OutcomeUnknown(
        `the connection to ${address.text} broke before the answer of ${call.title} came: it may or may not have run`,
        error === undefined ? {} : { cause: error },
      ),
    )
  }

  #wait(call: Call): void {
    if (this.#closed) {
      call.fail(closed(call))
      return
    }
    call.waitUntil = performance.now() + this.connectTimeout
    call.delayed = true
    this.#waiting.add(call)
    if (this.#waiting.size > 1) return
    this.#armWaitTimer(this.connectTimeout)
    if (this.#retry === undefined) this.#dial()
    // A pause that was meant for nobody to notice is too long now.
    else if (this.#rounds > 1) this.#pause(FIRST_BACKOFF)
    this.#holdDialing(true)
  }

  #takeWaiting(): Call[] {
    const calls = [...this.#waiting]
    this.#waiting.clear()
    clearTimeout(this.#waitTimer)
    return calls
  }

  #armWaitTimer(delay: number): void {
    clearTimeout(this.#waitTimer)
    this.#waitTimer = setTimeout(() => this.#giveUp(), delay)
  }

  /** Fails the calls that have waited long enough. */
  #giveUp(): void {
    const now = performance.now()
    for (const call of this.#waiting) {
      if (call.waitUntil > now) {
        this.#armWaitTimer(call.waitUntil - now)
        return
      }
      this.#waiting.delete(call)
      call.fail(this.#unavailable(call))
    }
    this.#holdDialing(false)
  }

  #unavailable(call?: Call): NoServerAvailable {
    const names = this.addresses.map(({ text }) => text).join(', ')
    const reasons = this.#failures.map((error) => error.message).join('; ')
    const executed = call?.executed ?? 'no'
    return new NoServerAvailable(
      `no server can be reached${call === undefined ? '' : ` for ${call.title} within ${this.connectTimeout} ms`}: ` +
        (reasons === '' ? names : reasons),
      { executed, ...(this.#failures.length > 0 ? { cause: this.#failures.at(-1) } : {}) },
    )
  }

  #dial(): void {
    if (this.#closed || this.#dialing !== undefined || this.#channel !== undefined || this.#retry !== undefined) return
    const share = this.connectTimeout / this.addresses.length
    this.#dialing = new Channel(this.addresses[this.#at]!, this, { ...this.#channelOptions, timeout: share })
    this.#holdDialing(this.#waiting.size > 0 || this.#onRound !== undefined)
  }

  #attemptFailed(error: Error): void {
    if (this.#closed) return
    if (this.#tried === 0) this.#failures = []
    this.#failures.push(error)
    this.#at = (this.#at + 1) % this.addresses.length
    this.#tried++
    if (this.#tried < this.addresses.length) {
      this.#dial()
      return
    }
    this.#tried = 0
    this.#rounds++
    if (this.#onRound !== undefined) {
      // A wrong password is no outage: who connects hears of it as it is.
      const [refused] = this.#failures.filter((failure) => failure instanceof AuthenticationFailed)
      this.#onRound(refused ?? this.#unavailable())
      return
    }
    const longest = this.#waiting.size > 0 ? LONGEST_BACKOFF_WAITED_FOR : LONGEST_BACKOFF
    this.#pause(Math.min(longest, FIRST_BACKOFF * 2 ** Math.min(this.#rounds - 1, 10)))
  }

  /** Dials again after a time between half and all of `delay`, so that many clients do not come at once. */
  #pause(delay: number): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined
        this.#dial()
      },
      delay * (0.5 + Math.random() / 2),
    )
    if (this.#waiting.size === 0) this.#retry.unref()
  }

  #holdDialing(yes: boolean): void {
    this.#dialing?.hold(yes)
    if (yes) this.#retry?.ref()
    else {
      this.#retry?.unref()
      clearTimeout(this.#waitTimer)
    }
  }

  #stopDialing(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    const dialing = this.#dialing
    this.#dialing = undefined
    dialing?.destroy()
  }

  #checkPeers(): void {
    this.#channel?.heartbeat()
    for (const channel of this.#leaving) channel.heartbeat()
  }

  #destroy(): void {
    this.#closed = true
    clearInterval(this.#heartbeat)
    this.#stopDialing()
    for (const call of this.#takeWaiting()) call.fail(closed(call))
    for (const channel of [...this.#leaving]) channel.destroy()
    this.#channel?.destroy()
  }
}

/** It may have been sent already, and have waited to be sent again. */
function closed(call: Call): ConnectionError {
  return new ConnectionError('this MiddleMan was closed', { executed: call.executed, retryable: false }, 'CLOSED')
}
