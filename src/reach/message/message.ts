// A message from one peer to another, and the receipt for it: both signed records, so that each side can prove what it was told. The format: spec/messages.md.
import { hash } from 'node:crypto'
import { randomId } from '../../kernel/random.ts'
import { type Identity, isPeerId } from '../../base/identity/identity.ts'
import { openRecord, signRecord } from '../../base/identity/record.ts'
import { asFault } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'

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
/** How long a message may wait in a mailbox: so long its signature is good. */
export const mailboxLifeMs = 7 * 24 * 3_600_000
/** What clocks may differ by between those who never meet. */
const maxItemSkewMs = 24 * 3_600_000

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

/** Signs `text` for the peer `to`, at wall time `now`; with `mayWait` for a mailbox, too. Fault `reach.text_invalid`. */
export async function signMessage(
  identity: Identity,
  to: string,
  text: string,
  now: number,
  { mayWait = false }: { readonly mayWait?: boolean } = {},
): Promise<{ readonly id: string; readonly signed: Uint8Array }> {
  checkText(text)
  const id = randomId()
  const expiresAt = now + (mayWait ? mailboxLifeMs : lifeMs)
  return { id, signed: await signRecord(identity, messageContext, { sequence: now, expiresAt, to, id, text }) }
}

/** Fault `reach.text_invalid` for what cannot be sent. */
export function checkText(text: string): void {
  const problem = problemOf(text)
  if (problem) throw fault.text_invalid({ problem })
}

function problemOf(text: unknown): string | undefined {
  if (typeof text !== 'string' || text === '') return 'it has no text'
  if (!text.isWellFormed()) return 'it is no Unicode text'
  const sizeBytes = Buffer.byteLength(text)
  return sizeBytes > maxTextBytes ? `${sizeBytes} bytes are too many` : undefined
}

/** Opens a signed message, whoever brings it and whenever; fault `reach.message_invalid`. */
export function openMessage(signed: Uint8Array): Message {
  return read(signed).message
}

function read(signed: Uint8Array): { readonly message: Message; readonly expiresAt: number } {
  if (signed.length > maxMessageBytes) throw fault.message_invalid({ problem: `${signed.length} bytes, the limit is ${maxMessageBytes}` })
  const { signer, body } = opened(messageContext, signed)
  const { to, id, text, sequence: sentAt, expiresAt } = body
  if (typeof to !== 'string' || !isPeerId(to)) throw fault.message_invalid({ problem: '"to" is no peer id' })
  if (typeof id !== 'string' || !idPattern.test(id)) throw fault.message_invalid({ problem: '"id" is none' })
  const problem = problemOf(text)
  if (problem) throw fault.message_invalid({ problem })
  return { message: { from: signer, to, id, sentAt, text: text as string }, expiresAt }
}

/**
 * Opens a signed message that lay in a mailbox of ours, at wall time `now`; `own` are the ids that we have, or had before a rotation. It is judged by its signature and its end alone, for whoever left it is not
 * there any more: until that end its id must be kept. Faults: `reach.message_invalid`, `_misdirected`, `_expired`.
 */
export function openItem(
  signed: Uint8Array,
  { own, now }: { own: readonly string[]; now: number },
): { readonly message: Message; readonly expiresAt: number } {
  const { message, expiresAt } = read(signed)
  if (!own.includes(message.to)) throw fault.message_misdirected({ to: message.to })
  if (expiresAt <= now) throw fault.message_expired({ lateMs: Math.round(now - expiresAt) })
  if (expiresAt > now + mailboxLifeMs + maxItemSkewMs) throw fault.message_invalid({ problem: 'it is meant to last for too long' })
  return { message, expiresAt }
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
export function signReceipt(identity: Identity, id: string, signed: Uint8Array, now: number): Promise<Uint8Array> {
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
