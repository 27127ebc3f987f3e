/**
 * Bugs that the simulation has to find, as changes to the compiled program. Each text to replace must be there
 * exactly once: when the program changes, the bug has to be planted anew.
 */
export interface PlantedBug {
  readonly name: string
  /** Below dist/persistence. */
  readonly changes: readonly { readonly file: string; readonly find: string; readonly put: string }[]
}

const COMMIT_LOOP = 'journal/commit-loop.js'
const WRITER = 'journal/writer.js'
const RECOVERY = 'journal/recovery.js'

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'acknowledge before fsync',
    changes: [
      { file: COMMIT_LOOP, find: 'this.#writer.sync();', put: '' },
      {
        file: COMMIT_LOOP,
        find: 'this.#unproven = true;',
        put: 'this.#unproven = true; this.#writer.sync();',
      },
    ],
  },
  {
    name: 'no directory fsync',
    changes: [
      {
        file: WRITER,
        find: 'this.#system.rename(`${path}${TEMPORARY}`, path);\n        this.#system.syncFolder(this.#folder);',
        put: 'this.#system.rename(`${path}${TEMPORARY}`, path);',
      },
    ],
  },
  {
    name: 'truncate at the first bad CRC',
    changes: [{ file: RECOVERY, find: 'if (end.sealed || damage !== undefined) {', put: 'if (false) {' }],
  },
  {
    name: 'unlink before manifest',
    changes: [
      { file: WRITER, find: 'this.#writeManifest({ firstSegment: oldest.segment + 1 });', put: '' },
      {
        file: WRITER,
        find: 'this.#system.remove(`${this.#folder}/${oldest.name}`);',
        put: 'this.#system.remove(`${this.#folder}/${oldest.name}`); this.#system.syncFolder(this.#folder); this.#writeManifest({ firstSegment: oldest.segment + 1 });',
      },
    ],
  },
  {
    name: 'stale completion accepted',
    changes: [
      {
        file: 'queue/queue.js',
        find: 'return jobs.attempts.get(row) === attempt ? row : NONE;',
        put: 'return row;',
      },
    ],
  },
  {
    // A record for no job takes its place, so that everything else goes on as before.
    name: 'claim not logged',
    changes: [
      {
        file: 'journal/store.js',
        find: 'this.#stream.attempt(RecordType.CLAIM, id, attempt);',
        put: 'this.#stream.attempt(RecordType.CLAIM, 0, attempt);',
      },
    ],
  },
  {
    name: 'the tail is not written anew after a crash',
    changes: [{ file: RECOVERY, find: 'keepValidPrefix(options, end.tail);', put: ';' }],
  },
  {
    name: 'compaction copies a job whose end is on its way',
    changes: [
      {
        file: 'journal/compactor.js',
        find: 'if (jobs.pending.get(row) !== Pending.none)',
        put: 'if (false)',
      },
    ],
  },
  {
    name: 'the name of the folder is not synced',
    changes: [{ file: 'journal/open.js', find: 'syncNames(system, folder);', put: '' }],
  },
  {
    name: 'an index forgets results',
    changes: [
      {
        file: 'journal/segment-index.js',
        find: '(type === RecordType.RESULT && at >= firstResult)',
        put: 'false',
      },
    ],
  },
]
