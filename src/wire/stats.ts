/** What has happened on the connections of a server: counters since its start, for a metrics page to read. */
export class WireStats {
  /** Connections that stand now, and that ever came. */
  open = 0
  accepted = 0
  /** Of those that stand, the ones whose handshake is done. */
  sessions = 0
  /** Calls under way that have taken credit. */
  calls = 0
  frames = 0
  bytesIn = 0
  bytesOut = 0
  /** How often reading stopped because the client did not read, and because it was over its rate. */
  pausedUnread = 0
  pausedRate = 0
  /** Connections that a rule has ended, by the code of their error. */
  readonly refused: Record<string, number> = Object.create(null)

  refuse(code: string): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1
  }
}
