/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides. The server keeps no password and nothing that could stand in
 * for one, and pays two HMACs for an attempt; the client learns that the server knows its keys.
 *
 * Each attempt is bound to its connection: what RFC 5802 calls channel binding is here a hash of all that both sides
 * have said before (preamble and HELLO), under TLS together with keying material of that TLS connection. So whoever
 * changes the offered versions or mechanisms on the way, or replays an attempt, fails.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { AuthenticationFailed } from '../errors.js'

/** Hash rounds of a new password: what a client will do at most, so that no server can keep it busy. */
export const ITERATIONS = 100_000
const FEWEST_ITERATIONS = 4_096
const NONCE_BYTES = 32
const KEY_BYTES = 32
const SALT_BYTES = 16

export const SCRAM = 'SCRAM-SHA-256'
/** With keying material of the TLS connection in the binding. */
export const SCRAM_TLS = 'SCRAM-SHA-256-PLUS'

/** What a server keeps of a password. */
export interface Verifier {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** What an attempt is bound to; `exported` is keying material of TLS. */
export class Binding {
  readonly #header: string
  readonly #bytes: Buffer

  constructor(preamble: Uint8Array, hello: Uint8Array, exported?: Buffer) {
    this.#header = exported === undefined ? 'p=offstage-hello,,' : 'p=offstage-hello-tls,,'
    const said = createHash('sha256').update(preamble).update(hello).digest()
    this.#bytes = exported === undefined ? said : Buffer.concat([said, exported])
  }

  /** What the client's first message begins with. */
  get header(): string {
    return this.#header
  }

  /** The attribute `c` of the client's last message. */
  get attribute(): string {
    return Buffer.concat([Buffer.from(this.#header), this.#bytes]).toString('base64')
  }
}

/** What ties an attempt to this TLS connection: RFC 9266. */
export function keysOf(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(KEY_BYTES, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
}

const pbkdf2Async = promisify(pbkdf2)

/** PBKDF2 of the password, in the form that RFC 8265 asks for as far as Unicode's NFKC goes. */
async function saltPassword(password: string, salt: Uint8Array, iterations: number): Promise<Buffer> {
  return pbkdf2Async(password.normalize('NFKC'), salt, iterations, KEY_BYTES, 'sha256')
}

export async function makeVerifier(password: string, iterations = ITERATIONS, salt = randomBytes(SALT_BYTES)) {
  const salted = await saltPassword(password, salt, iterations)
  const storedKey = sha256(hmac(salted, 'Client Key'))
  return formatVerifier({ iterations, salt, storedKey, serverKey: hmac(salted, 'Server Key') })
}

/** In the form that PostgreSQL has for it: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`. */
function formatVerifier({ iterations, salt, storedKey, serverKey }: Verifier): string {
  const [s, k, v] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'))
  return `${SCRAM}$${iterations}:${s}$${k}:${v}`
}

/** Undefined when it is none. */
export function parseVerifier(text: string): Verifier | undefined {
  const match = /^SCRAM-SHA-256\$(\d{4,6}):([\w+/=]+)\$([\w+/=]+):([\w+/=]+)$/.exec(text)
  if (match === null) return undefined
  const iterations = Number(match[1])
  const [salt, storedKey, serverKey] = match.slice(2).map((part) => Buffer.from(part, 'base64'))
  if (iterations < FEWEST_ITERATIONS || iterations > ITERATIONS) return undefined
  if (salt!.length < 8 || storedKey!.length !== KEY_BYTES || serverKey!.length !== KEY_BYTES) return undefined
  return { iterations, salt: salt!, storedKey: storedKey!, serverKey: serverKey! }
}

/** A user and a password, which nothing prints. */
export class Credentials {
  readonly user: string
  readonly #password: string
  /** The last salted password: connecting again need not hash it again. */
  #salted: { salt: string; iterations: number; key: Promise<Buffer> } | undefined

  constructor(user: string, password: string) {
    this.user = user
    this.#password = password
  }

  salted(salt: string, iterations: number): Promise<Buffer> {
    const known = this.#salted
    if (known?.salt === salt && known.iterations === iterations) return known.key
    const key = saltPassword(this.#password, Buffer.from(salt, 'base64'), iterations)
    this.#salted = { salt, iterations, key }
    return key
  }
}

/** One attempt, as the client sees it: `first`, `final` with the server's answer, `verify` with its last word. */
export class ScramClient {
  readonly #credentials: Credentials
  readonly #binding: Binding
  readonly #nonce: string
  #serverSignature: Buffer | undefined

  /** `nonce` is fresh for each attempt; only examples have one of their own. */
  constructor(credentials: Credentials, binding: Binding, nonce = randomBytes(NONCE_BYTES).toString('base64')) {
    this.#nonce = nonce
    this.#credentials = credentials
    this.#binding = binding
  }

  first(): string {
    return this.#binding.header + this.#bare
  }

  async final(serverFirst: string): Promise<string> {
    const [, nonce = '', salt = '', rounds = ''] = /^r=([^,]+),s=([\w+/=]+),i=(\d{1,9})$/.exec(serverFirst) ?? []
    const iterations = Number(rounds)
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new AuthenticationFailed('the server did not answer with a nonce of its own behind ours')
    }
    if (iterations < FEWEST_ITERATIONS || iterations > ITERATIONS) {
      throw new AuthenticationFailed(
        `the server asks for ${iterations} rounds of hashing; this client does ${FEWEST_ITERATIONS} to ${ITERATIONS}`,
      )
    }
    const salted = await this.#credentials.salted(salt, iterations)
    const clientKey = hmac(salted, 'Client Key')
    const unproven = `c=${this.#binding.attribute},r=${nonce}`
    const message = `${this.#bare},${serverFirst},${unproven}`
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message)
    return `${unproven},p=${xor(clientKey, hmac(sha256(clientKey), message)).toString('base64')}`
  }

  /** Throws when the server does not know the keys of this user. */
  verify(serverFinal: unknown): void {
    const [, signature = ''] = /^v=([\w+/=]+)$/.exec(typeof serverFinal === 'string' ? serverFinal : '') ?? []
    if (this.#serverSignature === undefined || !same(Buffer.from(signature, 'base64'), this.#serverSignature)) {
      throw new AuthenticationFailed('the server could not prove that it knows this user: is it the right one?')
    }
  }

  get #bare(): string {
    return `n=${escapeName(this.#credentials.user)},r=${this.#nonce}`
  }
}

/** One attempt, as the server sees it. */
export class ScramServer {
  readonly #binding: Binding
  readonly #find: (user: string) => Verifier
  #user = ''
  #bare = ''
  #first = ''
  #nonce = ''
  #verifier: Verifier | undefined

  /** `find` answers for every user, with keys that fit no password for one that there is not. */
  constructor(binding: Binding, find: (user: string) => Verifier) {
    this.#binding = binding
    this.#find = find
  }

  first(clientFirst: string): string {
    const { header } = this.#binding
    const bare = clientFirst.startsWith(header) ? clientFirst.slice(header.length) : ''
    const [, name = '', nonce = ''] = /^n=([^,]+),r=([\x21-\x2b\x2d-\x7e]{16,256})$/.exec(bare) ?? []
    const user = unescapeName(name)
    if (user === '')
      throw new AuthenticationFailed('the first message is not one of SCRAM with the binding that is due')
    this.#user = user
    this.#bare = bare
    this.#nonce = nonce + randomBytes(NONCE_BYTES).toString('base64')
    const verifier = this.#find(user)
    this.#verifier = verifier
    this.#first = `r=${this.#nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
    return this.#first
  }

  /** Who it is, and the last word for the client; throws when the proof does not hold. */
  final(clientFinal: string): { user: string; last: string } {
    const [, unproven = '', proof = ''] = /^(c=[^,]+,r=[^,]+),p=([\w+/=]+)$/.exec(clientFinal) ?? []
    const { storedKey, serverKey } = this.#verifier!
    const message = `${this.#bare},${this.#first},${unproven}`
    const given = Buffer.from(proof, 'base64')
    const clientKey = given.length === KEY_BYTES ? xor(given, hmac(storedKey, message)) : Buffer.alloc(KEY_BYTES)
    const bound = same(Buffer.from(unproven), Buffer.from(`c=${this.#binding.attribute},r=${this.#nonce}`))
    const proven = same(sha256(clientKey), storedKey)
    if (!bound || !proven) throw new AuthenticationFailed('the user or the password is wrong')
    return { user: this.#user, last: `v=${hmac(serverKey, message).toString('base64')}` }
  }
}

export function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ b[i]!))
}

function same(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function escapeName(name: string): string {
  return name.normalize('NFKC').replaceAll('=', '=3D').replaceAll(',', '=2C')
}

/** '' when it is none. */
function unescapeName(name: string): string {
  if (/=(?!3D|2C)/.test(name) || name.length > 256) return ''
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
