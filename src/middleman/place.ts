/**
 * Where a job key belongs: rendezvous hashing (Thaler and Ravishankar, 1998). Every client that lists the same servers in
 * the same spelling names the same one, and when one leaves only the keys that it had move.
 */
import { crc32 } from 'node:zlib'
import type { Server } from './call.js'

/** What a place is computed from: the text that makes a job one of its kind. docs/CLUSTER.md has the formula. */
export function placeKey(worker: string, workerKey: string, jobKey: string): string {
  return `${worker}\0${workerKey}\0${jobKey}`
}

export class Places<S extends Server> {
  readonly #servers: readonly { readonly server: S; readonly hash: number }[]

  constructor(servers: readonly S[]) {
    this.#servers = servers.map((server) => ({ server, hash: mix(crc32(server.address.text)) }))
  }

  /** Of the servers that are eligible, the one with the highest score; undefined when there is none. */
  find(key: string, eligible: (server: S) => boolean): S | undefined {
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
