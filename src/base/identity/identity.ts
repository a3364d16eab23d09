// An identity is an Ed25519 key (RFC 8032) and the peer id that is derived from it; made with node:crypto alone, so that no network library is loaded.
import { type KeyObject, createPrivateKey, createPublicKey, sign as signBytes, verify as verifyBytes } from 'node:crypto'
import { faults } from '../../kernel/fault.ts'
import { randomBytes } from '../../kernel/random.ts'

/** An Ed25519 seed, as RFC 8032 calls the private key. */
export const seedSizeBytes = 32
const publicKeySizeBytes = 32

const fault = faults('identity', {
  bad_peer_id: (d: { text: string }) => ({
    kind: 'usage',
    message: `${JSON.stringify(d.text.length > 60 ? `${d.text.slice(0, 60)}…` : d.text)} is not a peer id`,
    hint: 'a peer id begins with 12D3KooW and has 52 characters; `fairlead reach status` prints yours whole',
  }),
  bad_key: (d: { sizeBytes: number; needsBytes: number }) => ({
    kind: 'usage',
    message: `a key of ${d.sizeBytes} bytes where Ed25519 has ${d.needsBytes}`,
  }),
})

/** Who we are. Prints and serializes as its peer id; the key leaves only by name. */
export interface Identity {
  /** `12D3KooW…`: see `peerIdOf`. */
  readonly peerId: string
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The 32 byte seed. Only for a wallet or to open what was sealed: never log, print or send it. Fault when the key is kept where it cannot leave. */
  readonly privateKeyRaw: Uint8Array
  /** A 64 byte Ed25519 signature over `bytes`; it may come from elsewhere, and then it may fail. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

const privatePrefix = Buffer.from('302e020100300506032b657004220420', 'hex') // PKCS #8 for Ed25519 (RFC 8410), up to the seed
const publicPrefix = Buffer.from('302a300506032b6570032100', 'hex') // SubjectPublicKeyInfo (RFC 8410), up to the key

class KeyIdentity implements Identity {
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly #seed: Uint8Array
  readonly #key: KeyObject

  constructor(seed: Uint8Array) {
    this.#seed = Uint8Array.from(seed)
    this.#key = createPrivateKey({ key: Buffer.concat([privatePrefix, this.#seed]), format: 'der', type: 'pkcs8' })
    const encoded = createPublicKey(this.#key).export({ format: 'der', type: 'spki' })
    this.publicKey = Uint8Array.from(encoded.subarray(publicPrefix.length))
    this.peerId = peerIdOf(this.publicKey)
  }

  get privateKeyRaw(): Uint8Array {
    return Uint8Array.from(this.#seed)
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return signBytes(null, bytes, this.#key)
  }

  toJSON(): string {
    return this.peerId
  }
}

/** A new identity, or the one of `seed` (32 bytes; fault `identity.bad_key` for any other length). */
export function createIdentity(seed: Uint8Array = randomBytes(seedSizeBytes)): Identity {
  if (seed.length !== seedSizeBytes) throw fault.bad_key({ sizeBytes: seed.length, needsBytes: seedSizeBytes })
  return new KeyIdentity(seed)
}

/** Whether `signature` is the one of `publicKey` over `bytes`. A malformed key or signature is a plain no. */
export function verify(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== publicKeySizeBytes || signature.length !== 64) return false
  try {
    const key = createPublicKey({ key: Buffer.concat([publicPrefix, publicKey]), format: 'der', type: 'spki' })
    return verifyBytes(null, bytes, key, signature)
  } catch {
    return false // no point of the curve
  }
}

// An identity multihash (code 0, 36 bytes) of the protobuf public key: field 1, key type 1 = Ed25519; field 2, 32 bytes (libp2p peer id specification).
const multihashPrefix = Buffer.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20])

/** The libp2p peer id of an Ed25519 public key: base58btc, always 52 characters from `12D3KooW`. */
export function peerIdOf(publicKey: Uint8Array): string {
  if (publicKey.length !== publicKeySizeBytes) throw fault.bad_key({ sizeBytes: publicKey.length, needsBytes: publicKeySizeBytes })
  return toBase58(Buffer.concat([multihashPrefix, publicKey]))
}

/** The Ed25519 public key that a peer id holds; fault `identity.bad_peer_id` for anything else, other spellings of the same key included. */
export function publicKeyOf(peerId: string): Uint8Array {
  const bytes = peerId.length === 52 ? fromBase58(peerId) : undefined
  const isWhole =
    bytes?.length === multihashPrefix.length + publicKeySizeBytes && multihashPrefix.equals(bytes.subarray(0, multihashPrefix.length))
  if (!bytes || !isWhole) throw fault.bad_peer_id({ text: peerId })
  return Uint8Array.from(bytes.subarray(multihashPrefix.length))
}

/** The peer id as libp2p's protocols carry it: the multihash, 38 bytes. Fault `identity.bad_peer_id`. */
export function peerIdBytes(peerId: string): Uint8Array {
  return Buffer.concat([multihashPrefix, publicKeyOf(peerId)])
}

/** The peer id in such bytes; fault `identity.bad_peer_id` for those of any other kind of key. */
export function peerIdIn(bytes: Uint8Array): string {
  if (bytes.length !== multihashPrefix.length + publicKeySizeBytes || !multihashPrefix.equals(bytes.subarray(0, multihashPrefix.length)))
    throw fault.bad_peer_id({ text: Buffer.from(bytes).toString('hex') })
  return peerIdOf(bytes.subarray(multihashPrefix.length))
}

/** Whether the text is a whole peer id. */
export function isPeerId(text: string): boolean {
  try {
    publicKeyOf(text)
    return true
  } catch {
    return false
  }
}

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

function toBase58(bytes: Uint8Array): string {
  let rest = BigInt(`0x0${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (; rest > 0n; rest /= 58n) text = alphabet[Number(rest % 58n)]! + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = `1${text}` // every leading zero byte is kept as one digit zero
  }
  return text
}

function fromBase58(text: string): Buffer | undefined {
  let value = 0n
  for (const letter of text) {
    const digit = alphabet.indexOf(letter)
    if (digit < 0) return undefined
    value = value * 58n + BigInt(digit)
  }
  const hex = value === 0n ? '' : value.toString(16)
  const zeros = text.length - text.replace(/^1+/, '').length
  return Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')])
}
