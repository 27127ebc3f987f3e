/**
 * A folder for a journal on the disk of the temporary folder. Not `t.testdir()`: that one is gone before the
 * test's other teardowns, in which the journal still has to close.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'

export function journalFolder(t: { teardown(end: () => void): void }): string {
  const folder = mkdtempSync(`${tmpdir()}/offstage-journal-`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return `${folder}/journal`
}
