// Reads the name that a TLS client asks for, from the first bytes it sends and without answering any (RFC 8446 §4.1.2, RFC 6066 §3).

/** A ClientHello that is longer is no client's (post-quantum key shares take 2 KiB). */
export const maxHelloBytes = 16 << 10

export type Hello =
  /** It goes on. */
  | { readonly is: 'part' }
  /** In lower case; undefined: it names none. */
  | { readonly is: 'hello'; readonly name: string | undefined }
  | { readonly is: 'other'; readonly problem: string }

const handshakeRecord = 22
const clientHello = 1
const serverName = 0
const hostName = 0
const hostNameText = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/

const other = (problem: string): Hello => ({ is: 'other', problem })

/** `bytes`: all that has come so far. Never throws. */
export function readHello(bytes: Uint8Array): Hello {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const parts: Buffer[] = []
  let sizeBytes = 0
  for (let at = 0; ;) {
    const head = all.subarray(at, at + 5)
    if (head.length > 0 && head[0] !== handshakeRecord) return other('no TLS handshake')
    if (head.length > 1 && head[1] !== 3) return other('no version of TLS')
    if (head.length < 5) return all.length > maxHelloBytes ? other('too long') : { is: 'part' }
    const length = head.readUInt16BE(3)
    if (length === 0 || length > maxHelloBytes) return other('a record of no length that may be')
    const part = all.subarray(at + 5, at + 5 + length)
    parts.push(part)
    sizeBytes += part.length
    const message = sizeBytes < 4 ? undefined : Buffer.concat(parts)
    if (message) {
      if (message[0] !== clientHello) return other('no ClientHello')
      const end = 4 + message.readUIntBE(1, 3)
      if (end > maxHelloBytes) return other('too long')
      if (message.length >= end) return inHello(message.subarray(4, end))
    }
    if (part.length < length) return all.length > maxHelloBytes ? other('too long') : { is: 'part' }
    at += 5 + length
  }
}

/** Cuts pieces with a length in front off some bytes. What is not there throws. */
class Cutter {
  #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0
  }

  take(count: number): Buffer {
    if (count > this.#bytes.length) throw new RangeError('cut off')
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    return taken
  }

  number(sizeBytes: number): number {
    return this.take(sizeBytes).readUIntBE(0, sizeBytes)
  }

  vector(lengthBytes: number): Buffer {
    return this.take(this.number(lengthBytes))
  }
}

function inHello(body: Buffer): Hello {
  try {
    const hello = new Cutter(body)
    hello.take(2 + 32) // version, random
    hello.vector(1) // session
    hello.vector(2) // cipher suites
    hello.vector(1) // compression
    if (hello.isEmpty) return { is: 'hello', name: undefined }
    const extensions = new Cutter(hello.vector(2))
    let name: string | undefined
    let isNamed = false
    while (!extensions.isEmpty) {
      const type = extensions.number(2)
      const value = extensions.vector(2)
      if (type !== serverName) continue
      if (isNamed) return other('it names a server twice')
      isNamed = true
      name = nameIn(value)
      if (name === undefined) return other('the name of a server that is none')
    }
    return { is: 'hello', name }
  } catch {
    return other('a ClientHello that is cut off')
  }
}

function nameIn(value: Buffer): string | undefined {
  const list = new Cutter(new Cutter(value).vector(2))
  let name: string | undefined
  while (!list.isEmpty) {
    const type = list.number(1)
    const text = list.vector(2).toString('latin1').toLowerCase()
    if (type !== hostName) continue
    if (name !== undefined || !hostNameText.test(text)) return undefined
    name = text
  }
  return name
}
