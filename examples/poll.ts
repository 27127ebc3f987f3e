import { setTimeout as sleep } from 'node:timers/promises'

/** Asks every 20 ms until the answer is not null, for 20 s at most. */
export async function poll<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) {
    const answer = await ask()
    if (answer !== null) return answer
  }
  throw new Error(`gave up waiting for ${what}`)
}
