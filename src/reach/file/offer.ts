// What is signed about a file on its way: the sender's offer of it, and the recipient's receipt when it has all of it. The format: spec/files.md.
import { asFault } from '../../kernel/fault.ts'
import { type Identity, isPeerId } from '../../base/identity/identity.ts'
import { openRecord, signRecord } from '../../base/identity/record.ts'
import type { FileFacts } from '../../base/transfer/outgoing-file.ts'
import { fault } from '../faults.ts'
import { fault as fileFault } from './faults.ts'
import { type Receipt, digestOf, idPattern, lifeMs } from '../message/message.ts'

export const offerContext = 'fairlead/file-offer/1'
const receiptContext = 'fairlead/file-receipt/1'
/** Of the name, in UTF-8: four times what a file system takes. */
export const maxOfferedNameBytes = 1_024
/** A signed offer is no larger. */
export const maxOfferBytes = 2 << 10

export type Offer = FileFacts & {
  /** The peer id that signed it. */
  readonly from: string
  readonly to: string
  /** Unguessable, and the same as long as it is one wish to send the file. */
  readonly id: string
  /** The sender's wall time in milliseconds. */
  readonly sentAt: number
  /** As the sender calls it: not to be trusted. */
  readonly name: string
}

/** Signs an offer at wall time `now`. Fault `reach.offer_invalid`. */
export async function signOffer(identity: Identity, offer: Omit<Offer, 'from' | 'sentAt'>, now: number): Promise<Uint8Array> {
  const { to, id, name, sizeBytes, sha256 } = offer
  const problem = problemOf(offer)
  if (problem) throw fileFault.offer_invalid({ problem })
  return signRecord(identity, offerContext, { sequence: now, expiresAt: now + lifeMs, to, id, name, size: sizeBytes, sha256 })
}

function problemOf({ to, id, name, sizeBytes, sha256 }: { readonly [Key in keyof Offer]?: unknown }): string | undefined {
  if (typeof to !== 'string' || !isPeerId(to)) return '"to" is no peer id'
  if (typeof id !== 'string' || !idPattern.test(id)) return '"id" is none'
  if (typeof name !== 'string' || name === '' || !name.isWellFormed() || Buffer.byteLength(name) > maxOfferedNameBytes)
    return `"name" is not 1 to ${maxOfferedNameBytes} bytes of text`
  if (!Number.isSafeInteger(sizeBytes) || (sizeBytes as number) < 0) return '"size" is no whole number'
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return '"sha256" is none'
  return undefined
}

/** Opens a signed offer, whoever brings it and whenever; fault `reach.offer_invalid`. */
export function openOffer(signed: Uint8Array): Offer {
  const invalid = (problem: string, cause?: unknown) => fileFault.offer_invalid({ problem }, cause)
  if (signed.length > maxOfferBytes) throw invalid(`${signed.length} bytes, the limit is ${maxOfferBytes}`)
  let opened: ReturnType<typeof openRecord>
  try {
    opened = openRecord(offerContext, signed, 0) // offers are judged by their distance from our clock
  } catch (error) {
    throw invalid(asFault(error).message, error)
  }
  const { to, id, name, size: sizeBytes, sha256, sequence: sentAt } = opened.body
  const problem = problemOf({ to, id, name, sizeBytes, sha256 })
  if (problem) throw invalid(problem)
  return { from: opened.signer, sentAt, ...({ to, id, name, sizeBytes, sha256 } as Omit<Offer, 'from' | 'sentAt'>) }
}

/** Signs that all of the offered file is stored. */
export async function signFileReceipt(identity: Identity, { id, sha256 }: Offer, signed: Uint8Array, now: number): Promise<Uint8Array> {
  return signRecord(identity, receiptContext, { sequence: now, expiresAt: now + lifeMs, id, offer: digestOf(signed), sha256 })
}

/** Opens the receipt for the offer with these bytes; fault `reach.receipt_invalid` unless its recipient signed it. */
export function openFileReceipt(bytes: Uint8Array, signed: Uint8Array): Receipt {
  const { to, id, sha256 } = openOffer(signed)
  const invalid = (problem: string, cause?: unknown) => fault.receipt_invalid({ peer: to, problem }, cause)
  let receipt: ReturnType<typeof openRecord>
  try {
    receipt = openRecord(receiptContext, bytes, 0) // it is bound to the offer, which is new: its age does not matter
  } catch (error) {
    throw invalid(asFault(error).message, error)
  }
  const { signer, body } = receipt
  if (signer !== to) throw invalid(`it was signed by ${signer}`)
  if (body['id'] !== id || body['offer'] !== digestOf(signed) || body['sha256'] !== sha256) throw invalid('it is for another file')
  return { from: signer, id, receivedAt: body.sequence }
}
