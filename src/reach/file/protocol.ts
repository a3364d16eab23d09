// What is said on `/fairlead/file/1`: one stream, one offer; then how much of the file is there already, the bytes that are not, and a receipt or a refusal.
import { fault } from '../faults.ts'
import { fault as fileFault } from './faults.ts'
import { maxOfferBytes } from './offer.ts'
import { type MessageAnswer, answerValue, readAnswer } from '../message/protocol.ts'

export const fileProtocol = '/fairlead/file/1'
/** Slower than this nobody may ask for. */
const leastRate = 1_024
const maxOfferLength = Math.ceil((maxOfferBytes * 4) / 3)
/** An offer in base64url, and what stands around it. */
export const maxOfferRequestBytes = maxOfferLength + 1_024
/** The recipient says how much it holds this often, whether that grows or not: who hears nothing for long knows that the path is dead. */
export const heldEveryMs = 250

/** `held`: bytes from the beginning. The first one asks for the rest. `rate`: bytes a second that are welcome until the next one; as many as there can be when there is none. */
export type FileAnswer = MessageAnswer | { readonly held: number; readonly rate?: number }

/** An offer as it is sent. */
export function offerValue(signed: Uint8Array): unknown {
  return { offer: Buffer.from(signed).toString('base64url') }
}

/** Reads an offer from outside; fault `reach.offer_invalid`. */
export function readOffer(value: unknown): Uint8Array {
  const { offer } = (typeof value === 'object' && value !== null ? value : {}) as { offer?: unknown }
  if (typeof offer !== 'string' || offer === '' || offer.length > maxOfferLength)
    throw fileFault.offer_invalid({ problem: 'the request holds none' })
  return Buffer.from(offer, 'base64url')
}

/** An answer as it is sent. */
export function fileAnswerValue(answer: FileAnswer): unknown {
  return 'held' in answer ? answer : answerValue(answer)
}

/** Reads an answer of `peer` about a file of `sizeBytes`; fault `reach.receipt_invalid`. */
export function readFileAnswer(peer: string, sizeBytes: number, value: unknown): FileAnswer {
  const { held, rate } = (typeof value === 'object' && value !== null ? value : {}) as { held?: unknown; rate?: unknown }
  if (held === undefined) return readAnswer(peer, value)
  if (!isWhole(held) || held > sizeBytes) throw fault.receipt_invalid({ peer, problem: 'it says that it holds more than there is' })
  if (rate !== undefined && (!isWhole(rate) || rate < leastRate)) throw fault.receipt_invalid({ peer, problem: 'it asks for no real rate' })
  return rate === undefined ? { held } : { held, rate }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
