/** Certificates for tests, made when they are needed: an authority, and what it signs (X.509, DER, P-256). */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export interface Signed {
  readonly cert: string
  readonly key: string
}

const OID = { ecdsaSha256: '2a8648ce3d040302', cn: '550403', basic: '551d13', san: '551d11' }

export class Authority {
  readonly cert: string
  readonly #name: string
  readonly #key: KeyObject
  #serial = 1

  constructor(name = 'test authority') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#name = name
    this.#key = privateKey
    this.cert = this.#sign(name, publicKey, true)
  }

  /** For 127.0.0.1 and localhost, or a client of that name. */
  issue(name: string): Signed {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    return { cert: this.#sign(name, publicKey, false), key }
  }

  #sign(name: string, key: KeyObject, authority: boolean): string {
    const algorithm = der(0x30, oid(OID.ecdsaSha256))
    const names = der(0x30, der(0x82, Buffer.from('localhost')), der(0x87, Buffer.of(127, 0, 0, 1)))
    const extension = (id: string, value: Buffer) => der(0x30, oid(id), der(0x01, Buffer.of(0xff)), der(0x04, value))
    const basic = extension(OID.basic, der(0x30, ...(authority ? [der(0x01, Buffer.of(0xff))] : [])))
    const extensions = authority ? [basic] : [basic, der(0x30, oid(OID.san), der(0x04, names))]
    const body = der(
      0x30,
      der(0xa0, der(0x02, Buffer.of(2))),
      der(0x02, Buffer.of(this.#serial++)),
      algorithm,
      commonName(this.#name),
      der(0x30, time('20200101000000Z'), time('20991231235959Z')),
      commonName(name),
      key.export({ type: 'spki', format: 'der' }) as Buffer,
      der(0xa3, der(0x30, ...extensions)),
    )
    const signature = sign('sha256', body, this.#key)
    const whole = der(0x30, body, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])))
    const lines = whole
      .toString('base64')
      .match(/.{1,64}/g)!
      .join('\n')
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  }
}

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function commonName(name: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid(OID.cn), der(0x0c, Buffer.from(name)))))
}

function time(text: string): Buffer {
  return der(0x18, Buffer.from(text))
}
