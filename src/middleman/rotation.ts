/** Whose turn it is: the servers one after the other, but for those that just now had no room or not the worker. */
import type { Call, Server } from './call.js'

interface Member extends Server {
  readonly open: boolean
}

/** Milliseconds for which a server that was overloaded is passed over. */
const REST = 1_000
/** And one that did not have an instance, for calls to that: somebody may start it there later. */
const ABSENCE = 10_000
/** Instances of which such is known at a time. */
const MOST_ABSENCES = 1_000

export class Rotation<M extends Member> {
  readonly #members: readonly M[]
  #next = 0
  /** Until when, in monotonic ms. */
  readonly #resting = new Map<M, number>()
  /** By instance, oldest first. */
  readonly #absent = new Map<string, Map<M, number>>()

  constructor(members: readonly M[]) {
    this.#members = members
  }

  /** The next server that is up and has not been asked for this call; undefined when there is none. */
  next(call: Call): M | undefined {
    const members = this.#members
    const now = this.#resting.size > 0 || this.#absent.size > 0 ? performance.now() : 0
    const absent = this.#absent.size > 0 ? this.#absent.get(instance(call)) : undefined
    let spare = -1
    for (let i = 0; i < members.length; i++) {
      const at = (this.#next + i) % members.length
      const member = members[at]!
      if (!member.open || call.asked?.has(member)) continue
      if ((this.#resting.get(member) ?? 0) <= now && (absent?.get(member) ?? 0) <= now) return this.#take(at)
      if (spare === -1) spare = at
    }
    return spare === -1 ? undefined : this.#take(spare)
  }

  /** It had no room. */
  rest(member: M): void {
    this.#resting.set(member, performance.now() + REST)
  }

  /** It does not have the instance that the call is for. */
  absent(member: M, call: Call): void {
    const key = instance(call)
    const known = this.#absent.get(key) ?? new Map<M, number>()
    this.#absent.delete(key)
    this.#absent.set(key, known.set(member, performance.now() + ABSENCE))
    if (this.#absent.size > MOST_ABSENCES) this.#absent.delete(this.#absent.keys().next().value!)
  }

  /** It may have been started anywhere. */
  started(call: Call): void {
    this.#absent.delete(instance(call))
  }

  #take(at: number): M {
    this.#next = (at + 1) % this.#members.length
    return this.#members[at]!
  }
}

function instance({ worker, workerKey }: Call): string {
  return `${worker}\0${workerKey}`
}
