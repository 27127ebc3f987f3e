/** Where in a value something lies, as a programmer would write it: `argument.user.items[3].callback`. */

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const LONGEST_PATH = 400

/** A step that the wire takes and the program does not see. */
export const SAME: unique symbol = Symbol('same')

/**
 * `path` holds the key, index or Map key taken in each container from `root` on. Stops where a container
 * contains itself, and says so in `cycle`.
 */
export function describePath(
  root: unknown,
  rootName: string,
  path: readonly unknown[],
): { text: string; cycle: string | undefined } {
  const seen = new Map<unknown, string>()
  let current = root
  let text = rootName
  for (const key of path) {
    if (key === SAME) continue
    seen.set(current, text)
    text += step(current, key)
    current = child(current, key)
    const earlier = typeof current === 'object' && current !== null ? seen.get(current) : undefined
    if (earlier !== undefined) return { text: shorten(text), cycle: shorten(earlier) }
  }
  return { text: shorten(text), cycle: undefined }
}

function step(container: unknown, key: unknown): string {
  if (container instanceof Map) return `.get(${typeof key === 'string' ? JSON.stringify(key) : String(key)})`
  if (typeof key === 'number') return `[${key}]`
  const name = String(key)
  return IDENTIFIER.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}

function child(container: unknown, key: unknown): unknown {
  try {
    if (container instanceof Map) return container.get(key)
    if (container instanceof Set) return [...container][key as number]
    return (container as Record<string, unknown>)[key as string]
  } catch {
    // A getter that throws: the path is still right, only a cycle behind it cannot be seen.
    return undefined
  }
}

function shorten(text: string): string {
  if (text.length <= LONGEST_PATH) return text
  return `${text.slice(0, LONGEST_PATH / 2)}…${text.slice(-LONGEST_PATH / 2)}`.toWellFormed()
}
