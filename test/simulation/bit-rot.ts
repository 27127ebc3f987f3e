/** A bit that changes by itself on the disk: the journal then refuses to open, or has lost nothing. */
import type { Prng } from './prng.js'
import type { SimulatedDisk } from './simulated-disk.js'
import type { SimulatedFile } from './simulated-file.js'

const BATCH_MAGIC = Buffer.from('OFTB')

export interface Rot {
  readonly path: string
  readonly at: number
  /** Makes it undone. */
  readonly repair: () => void
}

/**
 * Changes one bit of a manifest, an index or a segment where that is found at the next opening and can be told from a
 * torn write. That leaves out segments with an index, which are read later, and after a crash the last two batches: the
 * last one may be torn, and the one before it then looks torn, too, when it rots.
 */
export function rot(disk: SimulatedDisk, folder: string, closedCleanly: boolean, random: Prng): Rot | undefined {
  const names = disk.list(folder)?.sort() ?? []
  const indexed = (name: string) => name.endsWith('.seg') && names.includes(name.replace(/seg$/, 'idx'))
  const name = random.pick(names.filter((name) => /\.(seg|idx)$|^MANIFEST\../.test(name) && !indexed(name)))
  if (name === undefined) return undefined
  const path = `${folder}/${name}`
  const file = disk.file(path)
  const isLast = name === names.findLast((other) => other.endsWith('.seg'))
  const end = isLast && !closedCleanly ? beforeTheLastTwo(file) : file.size
  if (end === 0) return undefined
  const at = random.int(end)
  const mask = 1 << random.int(8)
  file.rot(at, mask)
  return { path, at, repair: () => file.rot(at, mask) }
}

function beforeTheLastTwo({ bytes }: SimulatedFile): number {
  const batches: number[] = []
  for (let at = 0; at < bytes.length; at += 8) if (bytes.subarray(at, at + 4).equals(BATCH_MAGIC)) batches.push(at)
  return batches.at(-2) ?? 0
}
