/** Who may connect, by password: the `users` of the configuration. */
import { createHash } from 'node:crypto'
import { ConfigurationError } from '../errors.js'
import { hmac, ITERATIONS, parseVerifier, type Verifier } from '../wire/scram.js'

export class Users {
  readonly #verifiers: ReadonlyMap<string, Verifier>
  /** Makes up salts for users that there are not: the same ones each time, so that they cannot be told apart. */
  readonly #mockKey: Buffer
  readonly #mockIterations: number

  private constructor(verifiers: ReadonlyMap<string, Verifier>) {
    this.#verifiers = verifiers
    // From the keys, so that it survives restarts and is the same on all servers with these users.
    const hash = createHash('sha256').update('offstage mock salt')
    for (const name of [...verifiers.keys()].sort()) hash.update(name).update(verifiers.get(name)!.serverKey)
    this.#mockKey = hash.digest()
    this.#mockIterations = [...verifiers.values()][0]?.iterations ?? ITERATIONS
  }

  /** From `name: verifier`. What stands there in place of a verifier may be a password: no error repeats it. */
  static read(section: Record<string, unknown>, where: string): Users {
    const verifiers = new Map<string, Verifier>()
    for (const [name, value] of Object.entries(section)) {
      const verifier = typeof value === 'string' ? parseVerifier(value) : undefined
      if (verifier === undefined) {
        throw new ConfigurationError(
          `${where}: users.${name} is not what "offstage user add ${name}" prints: a line that begins with SCRAM-SHA-256$`,
        )
      }
      verifiers.set(name.normalize('NFKC'), verifier)
    }
    return new Users(verifiers)
  }

  get size(): number {
    return this.#verifiers.size
  }

  has(name: string): boolean {
    return this.#verifiers.has(name)
  }

  /** Always something to check against; for a user that there is not, something that no password fits. */
  find = (name: string): Verifier => {
    const known = this.#verifiers.get(name)
    if (known !== undefined) return known
    const mock = (what: string) => hmac(this.#mockKey, `${what} ${name}`)
    const salt = mock('salt').subarray(0, 16)
    return { iterations: this.#mockIterations, salt, storedKey: mock('stored'), serverKey: mock('server') }
  }
}
