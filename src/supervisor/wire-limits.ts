/** What one connection may take, from the settings; sizes in bytes, times in milliseconds. */
import type { HelloLimits } from '../wire/handshake.js'
import type { PeerLimits } from '../wire/limits.js'
import type { Settings } from './settings.js'

export interface WireLimits extends PeerLimits, HelloLimits {
  readonly maxConnections: number
  readonly handshakeTimeout: number
}

export function wireLimits(settings: Settings): WireLimits {
  return {
    maxBody: settings.max_body,
    maxCalls: settings.max_calls,
    maxCallBytes: settings.max_call_bytes,
    maxConnections: settings.max_connections,
    maxUnread: settings.max_unread,
    unreadTimeout: settings.unread_timeout * 1_000,
    handshakeTimeout: settings.handshake_timeout * 1_000,
    frameTimeout: settings.frame_timeout * 1_000,
    heartbeat: settings.heartbeat * 1_000,
  }
}
