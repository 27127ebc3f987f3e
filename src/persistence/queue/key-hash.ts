/**
 * 64 bits of a job's key, as two numbers of 32. Equal keys have equal hashes; whether different keys have, too, is
 * looked up where the key itself is kept.
 */
export class KeyHash {
  readonly #seed: number
  a = 0
  b = 0

  /** With a seed that clients do not know nobody can prepare keys that all fall on one slot. */
  constructor(seed: number) {
    this.#seed = seed | 0
  }

  ofText(text: string): this {
    let a = this.#seed
    let b = ~this.#seed
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) {
        const bytes = Buffer.from(text, 'utf8')
        return this.ofBytes(bytes, 0, bytes.length)
      }
      a = Math.imul(a ^ unit, 0x0100_0193)
      b = Math.imul(b ^ unit, 0x5bd1_e995) ^ (b >>> 13)
    }
    return this.#end(a, b)
  }

  /** The same as of the text whose UTF-8 this is. */
  ofBytes(bytes: Uint8Array, start: number, end: number): this {
    let a = this.#seed
    let b = ~this.#seed
    for (let i = start; i < end; i++) {
      const unit = bytes[i]!
      a = Math.imul(a ^ unit, 0x0100_0193)
      b = Math.imul(b ^ unit, 0x5bd1_e995) ^ (b >>> 13)
    }
    return this.#end(a, b)
  }

  #end(a: number, b: number): this {
    this.a = mix(a) >>> 0
    this.b = mix(b) >>> 0
    return this
  }
}

/** The finalizer of MurmurHash3: every bit of the input reaches every bit of the result. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return hash ^ (hash >>> 16)
}
