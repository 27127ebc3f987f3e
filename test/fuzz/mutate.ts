/** Makes a session that nobody would send from one that somebody did. */
import type { Session } from './corpus.js'

/** Whole numbers from 0, below `bound`. */
export type Random = (bound: number) => number

/** Bytes that matter: limits of heads, tags, breaks, headers of frames. */
const INTERESTING = [
  0x00, 0x01, 0x17, 0x18, 0x1b, 0x1f, 0x5f, 0x7f, 0x80, 0x9b, 0x9f, 0xa0, 0xbf, 0xc2, 0xd8, 0xf7, 0xfb, 0xff,
]

export function mutate(session: Session, random: Random): Buffer[] {
  const pieces: Buffer[] = session.map((piece) => Buffer.from(piece))
  const changes = random(4)
  for (let i = 0; i < changes; i++) {
    const at = random(pieces.length)
    const piece = pieces[at]!
    switch (random(9)) {
      case 0:
        pieces.splice(at, 1)
        break
      case 1:
        pieces.splice(random(pieces.length + 1), 0, piece)
        break
      case 2:
        pieces[at] = piece.subarray(0, random(piece.length + 1))
        break
      case 3:
        pieces[at] = Buffer.concat([piece.subarray(0, random(piece.length + 1)), noise(random)])
        break
      case 4:
        pieces[at] = insert(piece, random)
        break
      case 5: // the length, the type or the number of a frame
        if (piece.length >= 12) piece[random(12)] = random(256)
        break
      default:
        for (let n = 1 + random(3); n > 0 && piece.length > 0; n--) {
          const byte = random(piece.length)
          piece[byte] = random(2) === 0 ? INTERESTING[random(INTERESTING.length)]! : piece[byte]! ^ (1 << random(8))
        }
    }
    if (pieces.length === 0) pieces.push(noise(random))
  }
  return pieces
}

function insert(piece: Buffer, random: Random): Buffer {
  const at = random(piece.length + 1)
  return Buffer.concat([piece.subarray(0, at), noise(random), piece.subarray(at)])
}

function noise(random: Random): Buffer {
  const bytes = Buffer.alloc(1 + random(24))
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = random(3) === 0 ? INTERESTING[random(INTERESTING.length)]! : random(256)
  return bytes
}
