/** How the journal's tools end; docs/JOURNAL.md has the table. The numbers are those of sysexits.h, but for `lost`. */
export const ExitCode = {
  whole: 0,
  /** Salvage: something was lost, and is listed. */
  lost: 2,
  usage: 64,
  damaged: 65,
  noInput: 66,
  cannotCreate: 73,
  io: 74,
  inUse: 75,
} as const
