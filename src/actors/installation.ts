/**
 * Makes `import … from 'offstage'` in a worker file find the running installation, wherever the file lies.
 *
 * A file of a project that has offstage installed, or of this package itself, finds it without help. Only for
 * others are the module hooks set up: `registerHooks` costs nothing (Node 22.15 and later), `register` starts
 * a thread of its own (Node 20; about 45 ms, once per host).
 */
import * as nodeModule from 'node:module'

interface HookContext {
  parentURL?: string | undefined
}

interface Hooks {
  resolve<C extends HookContext, R>(specifier: string, context: C, next: (specifier: string, context: C) => R): R
}

/** Not in the types of Node 20. */
const registerHooks = (nodeModule as unknown as { registerHooks?: (hooks: Hooks) => unknown }).registerHooks

/** A file of this package, from where 'offstage' is a reference of the package to itself. */
const here = import.meta.url

let hooked = false

export function linkInstallation(workerUrl: string): void {
  if (hooked) return
  const found = resolveFrom(workerUrl)
  if (found !== undefined && found === resolveFrom(here)) return
  hooked = true
  if (registerHooks !== undefined)
    registerHooks({ resolve: (specifier, context, next) => redirect(here, specifier, context, next) })
  else nodeModule.register(new URL('./installation-hook.js', import.meta.url), { data: { here } })
}

export function redirect<C extends HookContext, R>(
  from: string,
  specifier: string,
  context: C,
  next: (specifier: string, context: C) => R,
): R {
  const ours = specifier === 'offstage' || specifier.startsWith('offstage/')
  return next(specifier, ours ? { ...context, parentURL: from } : context)
}

function resolveFrom(url: string): string | undefined {
  try {
    return nodeModule.createRequire(url).resolve('offstage/actors')
  } catch {
    // Not found from there, which is an answer.
    return undefined
  }
}
