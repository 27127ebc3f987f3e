/**
 * libfaketime for tests: a real program whose wall clock can be moved while it runs. Its monotonic clock, and so
 * its timers, go on as they are.
 */
import { spawnSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'

const { stdout: library, error } = spawnSync('faketime', ['-m', '-f', '+0', 'printenv', 'LD_PRELOAD'], {
  encoding: 'utf8',
})

/** Why tests with another clock cannot run here; false when they can. */
export const noFaketime: string | false =
  error === undefined ? false : `faketime is not installed (${error.message}): apt-get install faketime`

export class FakeClock {
  readonly #file: string
  /** For the program. */
  readonly env: Record<string, string>

  /** `file` keeps how far the clock is off. */
  constructor(file: string) {
    this.#file = file
    this.move(0)
    this.env = {
      LD_PRELOAD: String(library).trim(),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** From now on the program's clock is this many days ahead of the real one. */
  move(days: number): void {
    this.set(days * 86_400)
  }

  /** From now on the program's clock is this many seconds ahead of the real one. */
  set(seconds: number): void {
    // Whole at once: it is read at every look at the clock.
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
    renameSync(`${this.#file}.new`, this.#file)
  }
}
