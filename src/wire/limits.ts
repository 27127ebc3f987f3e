/** Bounds of the wire, in bytes and milliseconds; docs/PROTOCOL.md has the same table. */

/** Longest frame body in either direction unless the server says otherwise in HELLO. */
export const DEFAULT_MAX_BODY = 1024 * 1024

/** No setting goes beyond this. */
export const HARD_MAX_BODY = 16 * 1024 * 1024

/** What a side may send in all before it is known: bytes, and a client frames. */
export const HANDSHAKE_MAX_BODY = 4096
export const HANDSHAKE_MAX_FRAMES = 2

/** The whole handshake takes at most this long. */
export const HANDSHAKE_TIMEOUT = 2_000

/** Calls under way on one connection, and bytes of their bodies, unless the server says otherwise in HELLO. */
export const DEFAULT_MAX_CALLS = 1_024
export const DEFAULT_MAX_CALL_BYTES = 4 * 1024 * 1024

/** What a side asks of the other one on every connection. */
export interface PeerLimits {
  /**
   * Silence, in ms, after which a side asks PING. Two of them unanswered, another such silence later, and the
   * connection counts as dead: 45 s after the last byte by default. Any byte counts as a sign of life.
   */
  readonly heartbeat: number
  /** Milliseconds within which a frame that has begun has to be whole. */
  readonly frameTimeout: number
  /** A peer that leaves more than this unread (bytes) is cut off. With an eighth of it, no more is read from it. */
  readonly maxUnread: number
  /** So is one from which no more is read, and that has not read what waits for it after so long (ms). */
  readonly unreadTimeout: number
}

export const PEER_LIMITS: PeerLimits = {
  heartbeat: 15_000,
  frameTimeout: 10_000,
  maxUnread: 64 * 1024 * 1024,
  unreadTimeout: 10_000,
}

/** The share of `maxUnread` above which nothing more is read from a slow reader. */
export const PAUSE_SHARE = 1 / 8

/** How long a side that ends a connection waits for the other to end it as well. */
export const LINGER = 1_000

/** Longest job key, worker key or cache key, in UTF-16 units. */
export const LONGEST_KEY = 1024

/** Longest time that a cached result is given, in milliseconds: 10 years of 365 days. */
export const LONGEST_TTL = 10 * 365 * 86_400_000

/** No job is started more often. */
export const MOST_ATTEMPTS = 1000

/** Latest time of a job, in milliseconds since 1970: a later one is a unit mixed up, not a plan. */
export const LATEST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999)
