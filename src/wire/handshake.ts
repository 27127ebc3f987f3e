/**
 * How a connection begins.
 *
 * The client sends eight bytes: `OFFS`, the lowest and the highest version it speaks, two zero bytes.
 * The server answers HELLO, and READY as soon as it takes calls: at once when no authentication is asked for,
 * else behind two AUTH frames of the client's.
 */
import { ProtocolError } from '../errors.js'
import { decodeValue, encodeValue } from './codec.js'
import { FrameType } from './frame.js'
import { HANDSHAKE_MAX_BODY, HARD_MAX_BODY } from './limits.js'

export const PREAMBLE_BYTES = 8
const VERSION = 1
const MAGIC = Buffer.from('OFFS', 'latin1')

export interface HelloLimits {
  /** Longest frame body in bytes, in both directions. */
  maxBody: number
  /** Calls under way, and bytes of their bodies. */
  maxCalls: number
  maxCallBytes: number
}

export interface Hello {
  /** The version that both sides speak from here on. */
  version: number
  /** Names this run of the server; a client that sees another id knows that it restarted. */
  server: string
  /** 32 random bytes, fresh for each connection. */
  nonce: Uint8Array
  /** Ways to authenticate; empty when none is needed. */
  auth: string[]
  limits: HelloLimits
  capabilities: string[]
}

export function writePreamble(lowest = VERSION, highest = VERSION): Buffer {
  return Buffer.concat([MAGIC, Buffer.from([lowest, highest, 0, 0])])
}

/** The highest version that both sides speak. `bytes` holds at least `PREAMBLE_BYTES`. */
export function readPreamble(bytes: Buffer): number {
  if (!bytes.subarray(0, 4).equals(MAGIC)) throw new ProtocolError(foreign(bytes))
  const lowest = bytes[4]!
  const highest = bytes[5]!
  if (lowest === 0 || highest < lowest || bytes[6] !== 0 || bytes[7] !== 0) {
    throw new ProtocolError('the first eight bytes are not a valid preamble: see "Handshake" in docs/PROTOCOL.md')
  }
  if (lowest > VERSION) {
    throw new ProtocolError(
      `the client speaks versions ${lowest} to ${highest} and this server version ${VERSION}: upgrade the server`,
      {},
      'UNSUPPORTED_VERSION',
    )
  }
  return VERSION
}

function foreign(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, PREAMBLE_BYTES)
  if (/^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE|PRI) /.test(text)) {
    return `it speaks HTTP (${JSON.stringify(text)}…), and this is the port for offstage clients: use MiddleMan here`
  }
  if (bytes[0] === 0x16 && bytes[1] === 0x03) {
    return 'it speaks TLS, and this port is not encrypted: connect without TLS, or give the server tls_cert and tls_key'
  }
  return `its first bytes are ${JSON.stringify(text)} and not an offstage preamble`
}

export function writeHello(hello: Hello): Uint8Array {
  return encodeValue({ ...hello, nonce: Buffer.from(hello.nonce) }, 'hello')
}

export function readHello(body: Uint8Array, start = 0, end: number = body.length): Hello {
  const value = decodeValue(body, start, end) as Partial<Hello> | null
  const { maxBody, maxCalls, maxCallBytes } = value?.limits ?? {}
  if (
    typeof value?.version !== 'number' ||
    typeof value.server !== 'string' ||
    !(value.nonce instanceof Uint8Array) ||
    !isTexts(value.auth) ||
    !isTexts(value.capabilities) ||
    !isWhole(maxBody, HANDSHAKE_MAX_BODY, HARD_MAX_BODY) ||
    !isWhole(maxCalls, 1) ||
    !isWhole(maxCallBytes, 1)
  ) {
    throw new ProtocolError('the HELLO of the server lacks a field: is another program listening on that port?')
  }
  if (value.version !== VERSION) {
    throw new ProtocolError(
      `the server chose version ${value.version} and this client speaks version ${VERSION}: upgrade the older one`,
      {},
      'UNSUPPORTED_VERSION',
    )
  }
  return value as Hello
}

function isWhole(value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

/** What a client says when the first bytes of a server are no frame; undefined when they may be one. */
export function foreignServer(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.subarray(0, 16)).toString('latin1')
  if (text.startsWith('HTTP/')) return `it speaks HTTP (${JSON.stringify(text)}…), not offstage's protocol`
  if (bytes[0] === 0x15 && bytes[1] === 0x03) return 'it expects TLS: give the option tls'
  // The first frame is a HELLO, or an ERROR that refuses the client. Neither is as long as 16 MiB.
  const type = bytes[4] ?? FrameType.HELLO
  if (bytes[0] !== 0 || (type !== FrameType.HELLO && type !== FrameType.ERROR)) {
    return `its first bytes are ${JSON.stringify(text)}, not a HELLO`
  }
  return undefined
}

/** The body of an AUTH frame: one message of the mechanism, which the client names with its first one. */
export interface AuthMessage {
  mechanism?: string
  data: string
}

export function readAuth(bytes: Uint8Array, start: number, end: number): AuthMessage {
  const value = decodeValue(bytes, start, end) as Partial<AuthMessage> | null
  if (typeof value?.data !== 'string' || !['string', 'undefined'].includes(typeof value.mechanism)) {
    throw new ProtocolError('an AUTH frame needs the text "data"')
  }
  return value as AuthMessage
}
