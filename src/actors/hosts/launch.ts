/** Starts a host of the wanted kind. */
import type { Launch } from './host.js'
import { inlineHost } from './inline.js'
import { ThreadHost } from './thread.js'

export const launchHost: Launch = (kind, options, events) =>
  kind === 'inline' ? inlineHost(events) : new ThreadHost(options, events)
