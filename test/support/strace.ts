/**
 * strace for tests: lets the Nth call of a kind in a real program fail, or kills the program there, before the
 * call is carried out. strace counts the calls of each thread by itself.
 */
import { spawnSync } from 'node:child_process'

export interface Injection {
  /** Name of the system call, or several with commas. */
  readonly call: string
  /** As after `inject=call:` in strace's manual: `error=EIO:when=3`, `signal=SIGKILL:when=3`. */
  readonly how: string
  /** Only calls that concern one of these paths, as they are called at that time. */
  readonly paths?: readonly string[]
  /** What the program called, a line for each, goes into this file. */
  readonly log: string
}

/** Why tests with strace cannot run here; false when they can. */
export const noStrace: string | false = whyNot()

/** The command that runs `command` under strace, as the same process: its pid, signals and exit status are its own. */
export function straced(command: readonly string[], { call, how, paths = [], log }: Injection): string[] {
  // Filtering in the kernel is faster, but then signals are not injected.
  const filter = how.startsWith('error') ? ['--seccomp-bpf'] : []
  const where = paths.flatMap((path) => ['-P', path])
  const only = ['-e', `trace=${call}`, '-e', 'signal=none']
  return ['strace', '-D', '-f', ...filter, '-o', log, ...where, ...only, '-e', `inject=${call}:${how}`, ...command]
}

function whyNot(): string | false {
  const { error, status, stderr } = spawnSync('strace', ['-f', '-e', 'trace=none', 'true'], { encoding: 'utf8' })
  if (error !== undefined) return `strace is not installed (${error.message}): apt-get install strace`
  return status === 0 ? false : `strace cannot trace here: ${stderr.trim()}`
}
