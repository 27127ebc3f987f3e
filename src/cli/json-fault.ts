/** Where a text stops being JSON. `JSON.parse` tells that for some mistakes only, and for each in words of its own. */

export interface JsonFault {
  /** Offset of the first character that cannot be. */
  readonly at: number
  /** What could have been there. */
  readonly expected: string
}

const SPACE = /[ \t\n\r]*/y
const TEXT = /"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

const VALUE = 'a value'
const NAME = 'a name in quotes'

/** Of a text that is not JSON; it is read once more, from its beginning. */
export function jsonFault(text: string): JsonFault {
  /** The ends of the arrays and objects that are open. */
  const open: (']' | '}')[] = []
  let at = 0
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }
  const take = (character: string): boolean => {
    skip(SPACE)
    if (text[at] !== character) return false
    at++
    return true
  }
  /** Of an object; false where it is wrong. */
  const member = (): string | undefined => (!skip(TEXT) ? NAME : take(':') ? undefined : '":"')

  for (;;) {
    skip(SPACE)
    const begins = text[at]
    if (begins === '[' || begins === '{') {
      at++
      const end = begins === '[' ? ']' : '}'
      if (!take(end)) {
        open.push(end)
        const wrong = end === '}' ? member() : undefined
        if (wrong !== undefined) return { at, expected: wrong === NAME ? `${NAME} or "}"` : wrong }
        continue
      }
    } else if (!skip(TEXT) && !skip(SCALAR)) return { at, expected: begins === '"' ? 'a text that ends' : VALUE }

    // Behind a value.
    while (open.length > 0 && take(open.at(-1)!)) open.pop()
    const end = open.at(-1)
    if (end === undefined) {
      skip(SPACE)
      return { at, expected: 'nothing more' }
    }
    if (!take(',')) return { at, expected: `"," or "${end}"` }
    skip(SPACE)
    const wrong = end === '}' ? member() : undefined
    if (wrong !== undefined) return { at, expected: wrong }
  }
}
