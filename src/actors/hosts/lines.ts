/** Cuts what a worker writes to its stdout or stderr into lines. */
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** A line without an end is cut here, in characters. */
const LONGEST_LINE = 16 * 1024

/** The returned function gives out what is left at the end. */
export function lines(stream: Readable, line: (text: string) => void): () => void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const take = (text: string) => {
    const pieces = (rest + text).split('\n')
    rest = pieces.pop() ?? ''
    for (const piece of pieces) line(piece.endsWith('\r') ? piece.slice(0, -1) : piece)
    while (rest.length > LONGEST_LINE) {
      line(rest.slice(0, LONGEST_LINE))
      rest = rest.slice(LONGEST_LINE)
    }
  }
  stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)))
  return () => {
    for (let chunk: Buffer | null = stream.read(); chunk !== null; chunk = stream.read()) take(decoder.write(chunk))
    take(decoder.end())
    if (rest !== '') line(rest)
    rest = ''
  }
}
