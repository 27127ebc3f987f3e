/** Imports a worker file and finds its class, or says what is wrong with it. */
import { basename, extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigurationError } from '../errors.js'
import { asWorkerClass, describeWorker, type LoadedClass } from './description.js'
import { linkInstallation } from './installation.js'
import type { WorkerSettings } from './settings.js'

/** Rejects with `ConfigurationError`; what the file threw is its cause. */
export async function loadWorker(file: string, overrides: Partial<WorkerSettings>): Promise<LoadedClass> {
  const url = pathToFileURL(file).href
  linkInstallation(url)
  let exports: Record<string, unknown>
  try {
    exports = (await import(url)) as Record<string, unknown>
  } catch (cause) {
    throw new ConfigurationError(`the worker file ${file} cannot be imported: ${importProblem(file, cause)}`, { cause })
  }
  try {
    return describeWorker(asWorkerClass(defaultExport(exports)), overrides, basename(file, extname(file)))
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    throw new ConfigurationError(`the worker file ${file} cannot be used: ${error.message}`, { details: error.details })
  }
}

/** A compiler's CommonJS output has the class one level deeper. */
function defaultExport(exports: Record<string, unknown>): unknown {
  const value = exports.default
  if (typeof value === 'object' && value !== null && '__esModule' in value && 'default' in value) return value.default
  return value
}

function importProblem(file: string, cause: unknown): string {
  const code: unknown = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.[cm]?tsx?$/.test(file)) {
    return (
      `Node ${process.version} does not run TypeScript by itself. Compile it to .js, start the server with a loader ` +
      '(node --import tsx …), or use Node 22.18 or later'
    )
  }
  if (
    cause instanceof SyntaxError &&
    /import statement outside a module|Unexpected token 'export'/.test(cause.message)
  ) {
    return 'it is written as an ES module, and Node takes it for CommonJS. Put "type": "module" into the nearest package.json, or name it .mjs'
  }
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  return code === 'ERR_MODULE_NOT_FOUND' ? text : `it threw ${text}`
}
