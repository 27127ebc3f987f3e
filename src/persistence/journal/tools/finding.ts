/** What a check of a journal can find, and how it is put to somebody who was woken up by it. */

export interface Finding {
  /** `note`: the journal opens all the same. */
  readonly severity: 'damage' | 'note'
  readonly file: string
  readonly offset: number
  readonly what: string
  /** What it means for the jobs. */
  readonly means: string
  readonly todo: string
}

export type FindingKind = keyof typeof MEANINGS

const RESTORE =
  'Restore a backup into a new folder (offstage journal restore), or save what can be read (offstage journal salvage); docs/OPERATIONS.md says which when.'

const MEANINGS = {
  noManifest: {
    means: 'Without a manifest nobody knows which segments belong to the journal, so it does not open.',
    todo: RESTORE,
  },
  missing: {
    means: 'All records in it are gone: enqueued jobs, and the ends of jobs that seem to be unfinished.',
    todo: `If the file was moved, move it back. ${RESTORE}`,
  },
  twice: {
    means: 'A copy was put into the folder; one of the two is not part of the journal.',
    todo: 'Move the copy out of the folder if you know which it is, and check again. Otherwise restore a backup.',
  },
  header: {
    means:
      'The first 64 bytes were changed after they were written, or the file comes from another journal. The records behind them may be whole.',
    todo: RESTORE,
  },
  order: {
    means: 'Segments are missing between the two, or the file was put back from another time.',
    todo: `If the right file is still somewhere, put it back. ${RESTORE}`,
  },
  batch: {
    means:
      'Bytes that were on the disk have changed: records in this place are lost, and what they said about later or earlier jobs with them.',
    todo: `Look for errors of the disk in the system's log. ${RESTORE}`,
  },
  end: {
    means:
      'The supervisor had closed the journal, and it does not end where it was closed: somebody or something changed the file.',
    todo: RESTORE,
  },
  record: {
    means: 'The bytes are as they were written, but this version of offstage cannot take them.',
    todo: 'If a newer offstage ran on this folder, use that one. Otherwise this is a defect: keep a copy of the folder and report it.',
  },
  slot: {
    means: 'There are two, so that one can be lost. The journal opens with the other.',
    todo: 'Nothing: the next start of the supervisor writes it anew. If it was not running, look for errors of the disk.',
  },
  torn: {
    means: 'The last batch was cut short by a crash before anybody was told that it is stored. This is no damage.',
    todo: 'Nothing: the next start of the supervisor puts it aside in quarantine/ and goes on.',
  },
  writing: {
    means: 'The supervisor is writing its last batch right now; it was not checked.',
    todo: 'Nothing.',
  },
  neverUsed: {
    means: 'No job was ever stored, and the manifest is not valid. The next start begins a new journal.',
    todo: 'Nothing, if you expect an empty queue. Otherwise this is the wrong folder, or its segments were moved away.',
  },
} as const satisfies Record<string, { means: string; todo: string }>

const NOTES: ReadonlySet<FindingKind> = new Set(['slot', 'torn', 'writing', 'neverUsed'])

export function finding(kind: FindingKind, file: string, offset: number, what: string): Finding {
  return { severity: NOTES.has(kind) ? 'note' : 'damage', file, offset, what, ...MEANINGS[kind] }
}

/** For people: the place, what it means and what to do, each on a line. */
export function findingLines({ severity, file, offset, what, means, todo }: Finding): string[] {
  return [
    '',
    `${severity === 'damage' ? 'damage' : 'note'}: ${file}, offset ${offset}: ${what}`,
    `  What it means: ${means}`,
    `  What to do:    ${todo}`,
  ]
}
