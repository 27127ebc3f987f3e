/**
 * RESERVE: room on the disk that is given up when the disk is full, so that jobs can still be finished. It is made of
 * written zeros, because a hole would reserve nothing.
 */
import { createWhole, isFull, type JournalFs } from './file-system.js'

const NAME = 'RESERVE'
/** For a store without a reserve. */
const LEAST_ROOM = 64 * 1024
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

  /** Is there so much room that work can go on as usual? Twice the reserve, so that it does not end at once. */
  get roomy(): boolean {
    return this.#system.free(this.#folder) >= Math.max(2 * this.#bytes, LEAST_ROOM)
  }

  /** Holds the room from now on; false when there is not enough. */
  ensure(): boolean {
    if (this.#held || this.#bytes === 0) return true
    if (!this.roomy) return false
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
