/** The key under which a cached result lies in memcached; docs/RESULTS.md has it as a table. */
import { createHash } from 'node:crypto'

/** memcached takes no longer keys. */
const LONGEST_KEY_BYTES = 250

/** What cannot stand in a key: spaces and control characters, which are what separates words in memcached's text protocol. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that it is about
const NOT_IN_KEYS = /[\x00-\x20\x7f]/

/** `namespace:worker:workerKey:key`, or where that cannot be a key, `namespace#` and its SHA-256 in base64url. */
export function memcachedKey(namespace: string, worker: string, workerKey: string, key: string): string {
  const plain = `${namespace}:${escaped(worker)}:${escaped(workerKey)}:${key}`
  if (Buffer.byteLength(plain) <= LONGEST_KEY_BYTES && !NOT_IN_KEYS.test(plain)) return plain
  return `${namespace}#${createHash('sha256').update(plain).digest('base64url')}`
}

/** Without this, worker `a` with the key `b:c` and worker `a:b` with the key `c` could not be told apart. */
function escaped(name: string): string {
  return name.replaceAll('%', '%25').replaceAll(':', '%3A')
}
