/** A file system of a few megabytes in memory, for tests that fill a disk. Mounting one needs root. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'

/** Why tests with it cannot run here; false when they can. */
export const noTmpfs: string | false = whyNot()

/** The folder on which it is mounted; it is unmounted when the test is over. */
export function mountTmpfs(t: { teardown(end: () => void): void }, bytes: number): string {
  const folder = mkdtempSync(`${tmpdir()}/offstage-tmpfs-`)
  const problem = mount(folder, bytes)
  if (problem !== undefined) throw new Error(problem)
  t.teardown(() => unmount(folder))
  return folder
}

function whyNot(): string | false {
  const folder = mkdtempSync(`${tmpdir()}/offstage-tmpfs-`)
  const problem = mount(folder, 64 * 1024)
  if (problem === undefined) unmount(folder)
  else rmdirSync(folder)
  return problem === undefined ? false : `a tmpfs cannot be mounted, which root could: ${problem}`
}

function mount(folder: string, bytes: number): string | undefined {
  const args = ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', folder]
  const { error, status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

function unmount(folder: string): void {
  // Lazily: a process that was killed may not be gone yet.
  spawnSync('umount', ['--lazy', folder])
  rmdirSync(folder)
}
