/** The hook of installation.ts for Node 20, where it runs in a thread of Node's own. */
import { redirect } from './installation.js'

interface Context {
  parentURL?: string | undefined
}

let from = ''

export function initialize(data: { here: string }): void {
  from = data.here
}

export async function resolve<R>(
  specifier: string,
  context: Context,
  next: (specifier: string, context: Context) => Promise<R>,
): Promise<R> {
  return redirect(from, specifier, context, next)
}
