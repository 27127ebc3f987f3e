/**
 * The way to one server, kept open: one channel at a time, the next one after a loss, with backoff and jitter.
 * What it cannot serve goes back to its owner, who may know another server; see cluster.ts.
 */
import { AuthenticationFailed, ConnectionError, type OffstageError, OutcomeUnknown } from '../errors.js'
import type { Address } from './addresses.js'
import type { Call, Server } from './call.js'
import { Channel, type ChannelOptions, type ChannelOwner } from './channel.js'

export interface LinkOwner {
  /** The server takes calls. */
  up(link: Link): void
  /** An attempt to reach it failed. */
  failed(link: Link, error: Error): void
  /** Calls that the server has not run, or that may be run again. */
  returned(calls: readonly Call[]): void
  /** The server answered with an error. */
  refused(link: Link, call: Call, error: OffstageError): void
}

/** Milliseconds before the next attempt: the first, doubled each time, up to the longest. */
const FIRST_BACKOFF = 50
const LONGEST_BACKOFF = 1_500
/** While calls wait, more often than that. */
const LONGEST_BACKOFF_WAITED_FOR = 500
/** A server that does not believe who this is stops listening after ten attempts a minute. */
const BACKOFF_UNKNOWN = 10_000

export class Link implements ChannelOwner, Server {
  readonly address: Address
  readonly #owner: LinkOwner
  readonly #options: ChannelOptions
  /** Channels whose last calls are being answered. */
  readonly #leaving = new Set<Channel>()
  #channel: Channel | undefined
  #dialing: Channel | undefined
  /** Attempts in a row that failed. */
  #failed = 0
  #failure: Error | undefined
  #retry: NodeJS.Timeout | undefined
  #held = false
  #closed = false
  #onDrained: (() => void) | undefined

  constructor(address: Address, owner: LinkOwner, options: ChannelOptions) {
    this.address = address
    this.#owner = owner
    this.#options = options
  }

  /** It takes calls. */
  get open(): boolean {
    return this.#channel !== undefined
  }

  /** Why there is no connection, as far as it is known. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Connects, unless it is at that already. */
  dial(): void {
    if (this.#closed || this.#dialing !== undefined || this.#channel !== undefined || this.#retry !== undefined) return
    this.#dialing = new Channel(this.address, this, this.#options)
    this.#dialing.hold(this.#held)
  }

  /** While there is no connection: whether somebody waits for it. Then the process does, too, and it is tried often. */
  hold(yes: boolean): void {
    if (this.#held === yes) return
    this.#held = yes
    this.#dialing?.hold(yes)
    if (this.#retry === undefined) return
    // A pause that was meant for nobody to notice is too long now.
    if (yes && this.#failed > 1 && !(this.#failure instanceof AuthenticationFailed)) this.#pause(FIRST_BACKOFF)
    else if (yes) this.#retry.ref()
    else this.#retry.unref()
  }

  /** Only while it is open. */
  send(call: Call): void {
    this.#channel!.send(call)
  }

  /** A call that was handed over and not written is not wanted any more. */
  forget(call: Call): void {
    this.#channel?.forget(call)
    for (const channel of this.#leaving) channel.forget(call)
  }

  heartbeat(): void {
    this.#channel?.heartbeat()
    for (const channel of this.#leaving) channel.heartbeat()
  }

  /** Ends when the calls under way are answered, at the latest after `timeout` ms. */
  async close(timeout: number): Promise<void> {
    this.#closed = true
    this.#stopDialing()
    const channel = this.#channel
    if (channel !== undefined) this.leaving(channel, [])
    if (this.#leaving.size > 0) {
      const timer = setTimeout(() => this.#destroy(), timeout)
      await new Promise<void>((resolve) => {
        const others = this.#onDrained
        this.#onDrained = () => {
          others?.()
          resolve()
        }
        for (const leaving of this.#leaving) leaving.finish()
      })
      clearTimeout(timer)
    }
    this.#destroy()
  }

  ready(channel: Channel): void {
    this.#dialing = undefined
    this.#channel = channel
    this.#failed = 0
    this.#failure = undefined
    this.#owner.up(this)
  }

  leaving(channel: Channel, unserved: Call[]): void {
    this.#leaving.add(channel)
    if (channel === this.#channel) this.#channel = undefined
    this.dial()
    this.#owner.returned(unserved)
  }

  refused(_channel: Channel, call: Call, error: OffstageError): void {
    this.#owner.refused(this, call, error)
  }

  lost(channel: Channel, error: Error | undefined, unanswered: Call[]): void {
    const left = this.#leaving.delete(channel)
    if (channel === this.#dialing) {
      this.#dialing = undefined
      this.#attemptFailed(error ?? new ConnectionError(`${this.address.text} ended the connection`))
      return
    }
    if (channel === this.#channel) this.#channel = undefined
    if (!left) {
      this.#failure = error
      this.dial()
    }
    const again: Call[] = []
    for (const call of unanswered) {
      if (call.sent && !call.repeatable) call.fail(this.#outcomeUnknown(call, error))
      else again.push(call)
    }
    this.#owner.returned(again)
    if (this.#closed && this.#leaving.size === 0) this.#onDrained?.()
  }

  #outcomeUnknown(call: Call, cause: Error | undefined): OutcomeUnknown {
    return new OutcomeUnknown(
      `the connection to ${this.address.text} broke before the answer of ${call.title} came: it may or may not have run`,
      cause === undefined ? {} : { cause },
    )
  }

  #attemptFailed(error: Error): void {
    if (this.#closed) return
    this.#failure = error
    this.#failed++
    const longest = this.#held ? LONGEST_BACKOFF_WAITED_FOR : LONGEST_BACKOFF
    const delay = Math.min(longest, FIRST_BACKOFF * 2 ** Math.min(this.#failed - 1, 10))
    this.#pause(error instanceof AuthenticationFailed ? BACKOFF_UNKNOWN : delay)
    this.#owner.failed(this, error)
  }

  /** Dials again after a time between half and all of `delay`, so that many clients do not come at once. */
  #pause(delay: number): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined
        this.dial()
      },
      delay * (0.5 + Math.random() / 2),
    )
    if (!this.#held) this.#retry.unref()
  }

  #stopDialing(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    const dialing = this.#dialing
    this.#dialing = undefined
    dialing?.destroy()
  }

  #destroy(): void {
    this.#stopDialing()
    for (const channel of [...this.#leaving]) channel.destroy()
    this.#channel?.destroy()
  }
}
