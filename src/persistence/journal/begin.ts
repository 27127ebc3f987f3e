/** An empty journal. */
import { randomBytes } from 'node:crypto'
import type { JournalFs } from './file-system.js'
import { type Manifest, writeManifest } from './manifest.js'
import type { JournalEnd } from './writer.js'

/** Makes a folder a journal. The manifest comes before any segment, since segments without one would be refused. */
export function beginJournal(system: JournalFs, folder: string, nextSeq = 1, uuid = randomBytes(16)): JournalEnd {
  const manifest: Manifest = {
    epoch: 1,
    uuid,
    firstSegment: 1,
    lastSegment: 0,
    clean: false,
    endOffset: 0,
    endHeadCrc: 0,
    nextSeq,
  }
  writeManifest(system, folder, manifest)
  return { manifest, older: [], segment: 0, segmentFirstSeq: 0, offset: 0, headCrc: 0, nextSeq, sealed: false }
}
