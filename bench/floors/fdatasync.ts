/** Floor: what the disk itself gives. One record appended, one fdatasync, again and again, in one process. */
import fs from 'node:fs'
import { performance } from 'node:perf_hooks'
import { argumentFor } from '../argument.js'
import type { Contender } from '../measure.js'

/** About what a journal needs around the argument: names, key, lengths, checksum. */
const RECORD_OVERHEAD = ' '.repeat(60)

export function fdatasyncLoop(file: string): Contender & { close(): void } {
  const fd = fs.openSync(file, 'wx')
  let records = 0
  let bytes = 0
  return {
    name: 'fdatasync loop',
    async round(ms) {
      const start = performance.now()
      const before = records
      while (performance.now() - start < ms) {
        bytes += fs.writeSync(fd, Buffer.from(argumentFor(records) + RECORD_OVERHEAD))
        fs.fdatasyncSync(fd)
        records++
      }
      return { rate: ((records - before) * 1000) / (performance.now() - start) }
    },
    close() {
      const size = fs.fstatSync(fd).size
      fs.closeSync(fd)
      if (size !== bytes) throw new Error(`${file} holds ${size} bytes, ${bytes} were written`)
    },
  }
}
