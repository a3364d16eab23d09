// A message from one peer to another, and the receipt for it: both signed records, so that each side can prove what it was told. The format: spec/messages.md.
import { hash } from 'node:crypto'
import { randomId } from '../kernel/random.ts'
import { type Identity, isPeerId } from '../base/identity/identity.ts'
import { openRecord, signRecord } from '../base/identity/record.ts'
import { asFault } from '../kernel/fault.ts'
import { fault } from './faults.ts'

export const messageContext = 'fairlead/message/1'
const receiptContext = 'fairlead/message-receipt/1'
export const idPattern = /^[A-Za-z0-9_-]{22,64}$/
/** Of the text, in UTF-8. */
export const maxTextBytes = 32 << 10
/** A signed message is no larger. */
export const maxMessageBytes = 36 << 10
/** How far the sender's clock may be from ours. */
export const maxSkewMs = 60_000
/** How long a message and what is like it says that it holds. */
export const lifeMs = 2 * maxSkewMs

export type Message = {
  /** The peer id that signed it. */
  readonly from: string
  readonly to: string
  /** Unguessable, and new for each message. */
  readonly id: string
  /** The sender's wall time in milliseconds. */
  readonly sentAt: number
  readonly text: string
}

export type Receipt = { readonly from: string; readonly id: string; readonly receivedAt: number }

/** What stands for a signed message in receipts and in the history: SHA-256 of its bytes, base64url. It tells nothing of the text. */
export function digestOf(signed: Uint8Array): string {
  return hash('sha256', signed, 'base64url')
}

/** Signs `text` for the peer `to`, at wall time `now`. Fault `reach.text_invalid`. */
export function signMessage(
  identity: Identity,
  to: string,
  text: string,
  now: number,
): { readonly id: string; readonly signed: Uint8Array } {
  const problem = problemOf(text)
  if (problem) throw fault.text_invalid({ problem })
  const id = randomId()
  return { id, signed: signRecord(identity, messageContext, { sequence: now, expiresAt: now + lifeMs, to, id, text }) }
}

function problemOf(text: unknown): string | undefined {
  if (typeof text !== 'string' || text === '') return 'it has no text'
  if (!text.isWellFormed()) return 'it is no Unicode text'
  const sizeBytes = Buffer.byteLength(text)
  return sizeBytes > maxTextBytes ? `${sizeBytes} bytes are too many` : undefined
}

/** Opens a signed message, whoever brings it and whenever; fault `reach.message_invalid`. */
export function openMessage(signed: Uint8Array): Message {
  if (signed.length > maxMessageBytes) throw fault.message_invalid({ problem: `${signed.length} bytes, the limit is ${maxMessageBytes}` })
  const { signer, body } = opened(messageContext, signed)
  const { to, id, text, sequence: sentAt } = body
  if (typeof to !== 'string' || !isPeerId(to)) throw fault.message_invalid({ problem: '"to" is no peer id' })
  if (typeof id !== 'string' || !idPattern.test(id)) throw fault.message_invalid({ problem: '"id" is none' })
  const problem = problemOf(text)
  if (problem) throw fault.message_invalid({ problem })
  return { from: signer, to, id, sentAt, text: text as string }
}

/** Whether the message may be taken by `own` at wall time `now` from the proved `peer`. Faults: `reach.message_misdirected`, `_foreign`, `_skewed`. */
export function judgeMessage(
  { from, to, sentAt }: Pick<Message, 'from' | 'to' | 'sentAt'>,
  { own, peer, now }: { own: string; peer: string; now: number },
): void {
  if (from !== peer) throw fault.message_foreign({ signer: from, peer })
  if (to !== own) throw fault.message_misdirected({ to })
  const aheadMs = sentAt - now
  if (Math.abs(aheadMs) > maxSkewMs) throw fault.message_skewed({ aheadMs, limitMs: maxSkewMs })
}

/** Signs that the message with these bytes was taken. */
export function signReceipt(identity: Identity, id: string, signed: Uint8Array, now: number): Uint8Array {
  return signRecord(identity, receiptContext, { sequence: now, expiresAt: now + lifeMs, id, message: digestOf(signed) })
}

/** Opens the receipt for the message with these bytes; fault `reach.receipt_invalid` unless `to` signed it. */
export function openReceipt(bytes: Uint8Array, { to, id, signed }: { to: string; id: string; signed: Uint8Array }): Receipt {
  const invalid = (problem: string, cause?: unknown) => fault.receipt_invalid({ peer: to, problem }, cause)
  let receipt: ReturnType<typeof openRecord>
  try {
    receipt = openRecord(receiptContext, bytes, 0) // what it says is bound to the message, which is new: its age does not matter
  } catch (error) {
    throw invalid(asFault(error).message, error)
  }
  const { signer, body } = receipt
  if (signer !== to) throw invalid(`it was signed by ${signer}`)
  if (body['id'] !== id || body['message'] !== digestOf(signed)) throw invalid('it is for another message')
  return { from: signer, id, receivedAt: body.sequence }
}

function opened(context: string, bytes: Uint8Array): ReturnType<typeof openRecord> {
  try {
    return openRecord(context, bytes, 0) // messages are judged by their distance from our clock
  } catch (error) {
    throw fault.message_invalid({ problem: asFault(error).message }, error)
  }
}
