/** Why a process ended, in words for a log and for the callers whose calls went with it. */
import type { LastWords } from './gauge-file.js'

export interface ProcessEnd {
  /** Of `process.exit`; null after a signal. */
  code: number | null
  signal: NodeJS.Signals | null
  /** The error that nobody caught. */
  lastWords: LastWords | undefined
  /** What V8 or Node wrote to stderr about an end that it could not avoid. */
  fatal: string | undefined
  /** The supervisor ended it. */
  ended: boolean
  /** MiB; 0 for Node's own. */
  memoryLimit: number
}

const FATAL = /FATAL ERROR|Fatal process o|Fatal JavaScript|# Fatal error/
const OUT_OF_MEMORY = /out of memory|process OOM/i

/** Whether a line of stderr says that V8 or Node gave up. */
export function isFatal(line: string): boolean {
  return FATAL.test(line)
}

export function exitReason(end: ProcessEnd): Error {
  const { lastWords } = end
  if (!end.ended && end.fatal === undefined && lastWords !== undefined) {
    const { name, message, stack } = lastWords
    return Object.assign(new Error(message), { name }, stack === undefined ? {} : { stack })
  }
  return new Error(describe(end))
}

function describe({ code, signal, fatal, ended, memoryLimit }: ProcessEnd): string {
  if (ended) return 'ended by the supervisor'
  if (fatal !== undefined && OUT_OF_MEMORY.test(fatal)) {
    const limit = memoryLimit > 0 ? `, which is limited to ${memoryLimit} MiB by memoryLimit` : ''
    return `the process ran out of memory for its JavaScript heap${limit} (${fatal})`
  }
  if (signal === null) return `the process ended by itself (process.exit, code ${code})${because(fatal)}`
  switch (signal) {
    case 'SIGABRT':
      return `the process was aborted by its own code (process.abort, or native code; SIGABRT)${because(fatal)}`
    case 'SIGKILL':
      return 'the process was killed by SIGKILL from outside; a machine that is out of memory does that too'
    case 'SIGSEGV':
    case 'SIGBUS':
    case 'SIGILL':
    case 'SIGFPE':
    case 'SIGTRAP':
      return `the process crashed in native code (${signal})${because(fatal)}`
    default:
      return `the process was ended by ${signal} from outside`
  }
}

function because(fatal: string | undefined): string {
  return fatal === undefined ? '' : `: ${fatal}`
}
