/** Bounds of the wire, in bytes and milliseconds; docs/PROTOCOL.md has the same table. */

/** Longest frame body in either direction unless the server says otherwise in HELLO. */
export const DEFAULT_MAX_BODY = 1024 * 1024

/** No setting goes beyond this. */
export const HARD_MAX_BODY = 16 * 1024 * 1024

/** Longest body that a peer may send before the handshake is done. */
export const HANDSHAKE_MAX_BODY = 4096

/** The whole handshake takes at most this long. */
export const HANDSHAKE_TIMEOUT = 2_000

/**
 * Silence after which a side may ask PING (the client does). Two of them unanswered, another such silence later,
 * and the connection counts as dead: 45 s after the last byte. Any byte counts as a sign of life.
 */
export const HEARTBEAT_INTERVAL = 15_000

/** With more than this waiting to be sent, a server reads nothing more from that client. */
export const PAUSE_READING_ABOVE = 8 * 1024 * 1024

/** A peer that leaves more than this unread for so long (bytes, milliseconds) is cut off. */
export const SLOW_READER_ABOVE = 64 * 1024 * 1024
export const SLOW_READER_AFTER = 10_000

/** How long a side that ends a connection waits for the other to end it as well. */
export const LINGER = 1_000

/** Longest job key, worker key or cache key, in UTF-16 units. */
export const LONGEST_KEY = 1024

/** No job is started more often. */
export const MOST_ATTEMPTS = 1000

/** Latest time of a job, in milliseconds since 1970: a later one is a unit mixed up, not a plan. */
export const LATEST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999)
