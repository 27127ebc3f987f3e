/**
 * Rendezvous hashing (Thaler and Ravishankar, 1998): which of several servers a key belongs to. Everybody who lists the same
 * servers in the same spelling, in any order, names the same one, and when one leaves only the keys that it had move.
 * docs/CLUSTER.md has the formula.
 */
import { crc32 } from 'node:zlib'

export class Rendezvous<S> {
  readonly #servers: readonly { readonly server: S; readonly hash: number }[]

  /** `nameOf`: the text of a server's address. */
  constructor(servers: readonly S[], nameOf: (server: S) => string) {
    this.#servers = servers.map((server) => ({ server, hash: mix(crc32(nameOf(server))) }))
  }

  /** Of the servers that are eligible, the one with the highest score; undefined when there is none. */
  find(key: string, eligible: (server: S) => boolean = () => true): S | undefined {
    const keyHash = crc32(key)
    let best: S | undefined
    let highest = -1
    for (const { server, hash } of this.#servers) {
      const score = mix(keyHash ^ hash)
      if (score > highest && eligible(server)) {
        highest = score
        best = server
      }
    }
    return best
  }
}

/** The last step of MurmurHash3 for 32 bits: each bit of the input changes half of the bits of the result. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
