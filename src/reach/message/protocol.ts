// What is said on `/fairlead/message/1`: one stream, one request with a signed message, one answer with a signed receipt or a refusal.
import { type FaultKind, outside } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'
import { maxMessageBytes } from './message.ts'

export const messageProtocol = '/fairlead/message/1'
const maxSignedLength = Math.ceil((maxMessageBytes * 4) / 3)
/** A message in base64url, and what stands around it. */
export const maxRequestBytes = maxSignedLength + 1_024
export const maxAnswerBytes = 4 << 10
const maxReasonLength = 500

export type MessageAnswer = { readonly receipt: Uint8Array } | { readonly refused: MessageRefusal }
export type MessageRefusal = { readonly code: string; readonly kind: FaultKind; readonly message: string }

/** A request as it is sent. */
export function requestValue(signed: Uint8Array): unknown {
  return { message: Buffer.from(signed).toString('base64url') }
}

/** Reads a request from outside; fault `reach.message_invalid`. */
export function readRequest(value: unknown): Uint8Array {
  const message = isObject(value) ? value['message'] : undefined
  if (typeof message !== 'string' || message === '' || message.length > maxSignedLength)
    throw fault.message_invalid({ problem: 'the request holds none' })
  return Buffer.from(message, 'base64url')
}

/** An answer as it is sent. */
export function answerValue(answer: MessageAnswer): unknown {
  return 'receipt' in answer ? { receipt: Buffer.from(answer.receipt).toString('base64url') } : answer
}

/** Reads an answer of `peer`; fault `reach.receipt_invalid`. */
export function readAnswer(peer: string, value: unknown): MessageAnswer {
  const { receipt, refused } = isObject(value) ? value : {}
  if (typeof receipt === 'string') return { receipt: Buffer.from(receipt, 'base64url') }
  if (!isObject(refused)) throw fault.receipt_invalid({ peer, problem: 'neither a receipt nor a refusal' })
  const { code, kind, message } = refused
  if (typeof code !== 'string' || typeof message !== 'string' || typeof kind !== 'string' || !Object.hasOwn(outside, kind))
    throw fault.receipt_invalid({ peer, problem: 'a refusal without a reason' })
  const isTheirs = kind === 'bug' || kind === 'config'
  return {
    refused: {
      code: code.slice(0, 64),
      kind: isTheirs ? 'unavailable' : (kind as FaultKind),
      message: message.slice(0, maxReasonLength),
    },
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
