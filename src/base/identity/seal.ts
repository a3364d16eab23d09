// Seals bytes to a peer, so that its key alone opens them: an age file (C2SP age, format v1) for the X25519 form of the Ed25519 key in the peer id.
import { faults, reasonOf } from '../../kernel/fault.ts'
import { bech32 } from './bech32.ts'
import { type Identity, publicKeyOf } from './identity.ts'

const fault = faults('seal', {
  weak_key: (d: { peerId: string }) => ({
    kind: 'usage',
    message: `nothing can be sealed to ${d.peerId}: its key is no proper point of the curve`,
    hint: 'ask its owner for the id that "fairlead reach status" prints',
  }),
  not_opened: (d: { peerId: string; problem: string }) => ({
    kind: 'denied',
    message: `this does not open with the key of ${d.peerId}: ${d.problem}`,
    hint: 'it was sealed to another key, or changed on its way',
  }),
})

/** What sealing adds to content of up to 64 KiB: the header with one recipient, the nonce and the tag of the one chunk. */
export const sealOverheadBytes = 200

/** The age recipient (`age1…`) of a peer; fault `seal.weak_key`. The map between the curves is the one of RFC 7748 §4.1. */
export async function ageRecipientOf(peerId: string): Promise<string> {
  const publicKey = publicKeyOf(peerId)
  const { ed25519 } = await import('@noble/curves/ed25519.js')
  try {
    if (!ed25519.utils.isValidPublicKey(publicKey, false) || ed25519.Point.fromBytes(publicKey).isSmallOrder())
      throw new Error('small order')
    return bech32('age', ed25519.utils.toMontgomery(publicKey))
  } catch (error) {
    throw fault.weak_key({ peerId }, error)
  }
}

/** The age identity (`AGE-SECRET-KEY-1…`) of an identity: as secret as its seed. */
export async function ageSecretOf(identity: Identity): Promise<string> {
  const { ed25519 } = await import('@noble/curves/ed25519.js')
  return bech32('age-secret-key-', ed25519.utils.toMontgomerySecret(identity.privateKeyRaw)).toUpperCase()
}

/** An age file (binary) that only `peerId` can open. It does not say who sealed it, nor for whom. Fault `seal.weak_key`. */
export async function seal(peerId: string, content: Uint8Array): Promise<Uint8Array> {
  const recipient = await ageRecipientOf(peerId)
  const { Encrypter } = await import('age-encryption')
  const encrypter = new Encrypter()
  encrypter.addRecipient(recipient)
  return encrypter.encrypt(content)
}

/** What was sealed to `identity`; the caller bounds the size. Fault `seal.not_opened` for all that is no such file, whole and unchanged. */
export async function unseal(identity: Identity, sealed: Uint8Array): Promise<Uint8Array> {
  const secret = await ageSecretOf(identity)
  const { Decrypter } = await import('age-encryption')
  const decrypter = new Decrypter()
  decrypter.addIdentity(secret)
  try {
    return await decrypter.decrypt(sealed)
  } catch (error) {
    throw fault.not_opened({ peerId: identity.peerId, problem: reasonOf(error) }, error)
  }
}
