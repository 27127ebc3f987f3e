/**
 * RESERVE: room on the disk that is given up when the disk is full, so that jobs can still be finished. It is made of
 * written zeros, because a hole would reserve nothing.
 */
import { createWhole, isFull, type JournalFs } from './file-system.js'

const NAME = 'RESERVE'
const PIECE = new Uint8Array(256 * 1024)

export class Reserve {
  readonly #system: JournalFs
  readonly #folder: string
  readonly #bytes: number
  #held: boolean

  /** `bytes`: how much to keep; 0 for nothing. */
  constructor(system: JournalFs, folder: string, bytes: number) {
    this.#system = system
    this.#folder = folder
    this.#bytes = bytes
    this.#held = system.list(folder)?.includes(NAME) ?? false
  }

  /** Is there room that can be given up? */
  get held(): boolean {
    return this.#held && this.#bytes > 0
  }

  /** False when there is no room for it. It is made again only when there is room for twice as much. */
  ensure(): boolean {
    if (this.#held || this.#bytes === 0) return true
    if (this.#system.free(this.#folder) < 2 * this.#bytes) return false
    const pieces: Uint8Array[] = []
    for (let left = this.#bytes; left > 0; left -= PIECE.length)
      pieces.push(PIECE.subarray(0, Math.min(left, PIECE.length)))
    try {
      createWhole(this.#system, this.#folder, NAME, pieces)
    } catch (error) {
      if (!isFull(error)) throw error
      return false
    }
    this.#held = true
    return true
  }

  /** Gives the room to whoever writes next. */
  release(): void {
    if (!this.#held) return
    this.#system.remove(`${this.#folder}/${NAME}`)
    this.#held = false
  }
}
