/** What the records of the journal are called, and their fixed sizes; docs/JOURNAL.md has the tables. */

export const RecordType = {
  ENQ: 1,
  FULL: 2,
  CLAIM: 3,
  RETRY: 4,
  DONE: 5,
  DEAD: 6,
  DEQ: 7,
  RESULT: 8,
  SEAL: 9,
} as const

export const RecordFlag = {
  AT_MOST_ONCE: 1,
  SUSPECT: 2,
  HAS_FAILURE: 4,
  /** A program that does not know the type may skip the record; without it, it must not open the journal. */
  IGNORABLE: 128,
} as const

export const RECORD_HEADER_BYTES = 20
export const ATTEMPT_RECORD_BYTES = RECORD_HEADER_BYTES + 4
export const ENQ_FIXED_BYTES = 44
export const SETTLEMENT_FIXED_BYTES = 16
export const FAILURE_FIXED_BYTES = 10
export const FULL_FIXED_BYTES = 12
export const NO_STACK = 0xffff_ffff

/** The state that FULL gives a job. */
export const FullState = { waiting: 0, active: 1, dead: 2 } as const
