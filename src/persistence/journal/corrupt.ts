/** The error that refuses a damaged journal. */
import { StoreError } from '../../errors.js'

/** EX_DATAERR of sysexits.h. */
const CORRUPT_EXIT_CODE = 65

const ADVICE =
  'Nothing was changed. Restore the folder from a backup, or move the whole folder away to begin with an empty queue; do not delete single files.'

export function corrupt(path: string, offset: number, what: string): StoreError {
  return new StoreError('JOURNAL_CORRUPT', `the journal is damaged: ${path} at offset ${offset}: ${what}. ${ADVICE}`, {
    exitCode: CORRUPT_EXIT_CODE,
    details: { file: path, offset },
  })
}
