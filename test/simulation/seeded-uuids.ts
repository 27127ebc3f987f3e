/**
 * The uuid of a store seeds its checksums, so that even torn bytes depend on it: a run has to choose it by its seed.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { Prng } from './prng.js'

/** Takes the place of `crypto.randomBytes`, for all modules, until the function that it returns is called. */
export function seedUuids(random: Prng): () => void {
  const real = crypto.randomBytes
  const seeded = (size: number) => Buffer.from(Array.from({ length: size }, () => random.int(256)))
  Object.defineProperty(crypto, 'randomBytes', { value: seeded, configurable: true, writable: true })
  syncBuiltinESMExports()
  return () => {
    Object.defineProperty(crypto, 'randomBytes', { value: real, configurable: true, writable: true })
    syncBuiltinESMExports()
  }
}
