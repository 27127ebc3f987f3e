/** Where a journal tells what it found and did. */
export interface JournalLog {
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}
