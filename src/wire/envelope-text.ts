/** The two kinds of item that an envelope is made of, written where there is room. */
import { InvalidArgument } from '../errors.js'
import { writeHead } from './heads.js'

export function writeNumber(to: Buffer, at: number, value: number): number {
  if (value < 0) return writeHead(to, at, 0x20, -1 - value)
  return writeHead(to, at, 0, value)
}

export function writeText(to: Buffer, at: number, text: string): number {
  const length = text.length
  if (length < 24) {
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return writeLongText(to, at, text)
      to[at + 1 + i] = unit
    }
    to[at] = 0x60 | length
    return at + 1 + length
  }
  return writeLongText(to, at, text)
}

function writeLongText(to: Buffer, at: number, text: string): number {
  if (!text.isWellFormed()) {
    throw new InvalidArgument(`the name or key ${JSON.stringify(text)} has half a surrogate pair: it is not valid text`)
  }
  const pos = writeHead(to, at, 0x60, Buffer.byteLength(text))
  return pos + to.write(text, pos)
}
