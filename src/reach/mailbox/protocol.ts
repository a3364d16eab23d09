// What is said on `/fairlead/mailbox/1`: anybody leaves sealed items for a peer, and that peer alone fetches and removes them. The format: spec/mailbox.md.
import { isPeerId } from '../../base/identity/identity.ts'
import { sealOverheadBytes } from '../../base/identity/seal.ts'
import { fault } from '../faults.ts'
import { maxMessageBytes } from '../message/message.ts'
import { readReply } from '../registry/protocol.ts'
import type { Refusal } from '../request-loop.ts'

export const mailboxProtocol = '/fairlead/mailbox/1'
/** A sealed message is no larger. */
export const maxItemBytes = maxMessageBytes + sealOverheadBytes
const maxItemLength = Math.ceil((maxItemBytes * 4) / 3)
/** Items in one answer. */
export const maxItems = 16
/** How long an answer may wait for an item. */
export const maxWaitMs = 60_000
/** An item in base64url, and what stands around it. */
export const maxRequestBytes = maxItemLength + 1_024
/** `maxItems` of them. */
export const maxAnswerBytes = 1 << 20

export type MailboxRequest =
  | { readonly do: 'leave'; readonly to: string; readonly item: Uint8Array }
  | { readonly do: 'fetch'; readonly waitMs: number }
  /** `ids`: see `digestOf`. */
  | { readonly do: 'remove'; readonly ids: readonly string[] }

export type MailboxAnswer =
  | { readonly ok: { readonly now: number; readonly expiresAt?: number; readonly items: readonly Uint8Array[] } }
  | { readonly refused: Refusal }

/** A request as it is sent. */
export function requestValue(request: MailboxRequest): unknown {
  return request.do === 'leave' ? { ...request, item: Buffer.from(request.item).toString('base64url') } : request
}

/** Reads a request from outside; fault `reach.request_invalid`. */
export function readRequest(value: unknown): MailboxRequest {
  const invalid = (problem: string) => fault.request_invalid({ problem })
  if (!isObject(value)) throw invalid('it is no object')
  switch (value['do']) {
    case 'leave': {
      const { to, item } = value
      if (typeof to !== 'string' || !isPeerId(to)) throw invalid('"to" is no peer id')
      if (typeof item !== 'string' || item === '' || item.length > maxItemLength)
        throw invalid(`"item" is no text of 1 to ${maxItemLength} characters`)
      return { do: 'leave', to, item: Buffer.from(item, 'base64url') }
    }
    case 'fetch': {
      const waitMs = value['waitMs'] ?? 0
      if (!Number.isInteger(waitMs) || (waitMs as number) < 0) throw invalid('"waitMs" is no time')
      return { do: 'fetch', waitMs: Math.min(waitMs as number, maxWaitMs) }
    }
    case 'remove': {
      const { ids } = value
      const isId = (id: unknown): id is string => typeof id === 'string' && /^[A-Za-z0-9_-]{43}$/.test(id)
      if (!Array.isArray(ids) || ids.length > maxItems || !ids.every(isId)) throw invalid(`"ids" are not up to ${maxItems} digests`)
      return { do: 'remove', ids }
    }
    default:
      throw invalid('"do" is none of leave, fetch, remove')
  }
}

/** An answer as it is sent. */
export function answerValue(answer: MailboxAnswer): unknown {
  if ('refused' in answer) return answer
  return { ok: { ...answer.ok, items: answer.ok.items.map((item) => Buffer.from(item).toString('base64url')) } }
}

/** Reads an answer from outside; fault `reach.registry_garbled`. */
export function readAnswer(value: unknown): MailboxAnswer {
  const reply = readReply(value)
  if ('refused' in reply) return reply
  const { now, expiresAt, items = [] } = reply.ok
  const isItem = (item: unknown): item is string => typeof item === 'string' && item.length <= maxItemLength
  if (!Array.isArray(items) || items.length > maxItems || !items.every(isItem))
    throw fault.registry_garbled({ problem: 'items that are none' })
  if (expiresAt !== undefined && typeof expiresAt !== 'number') throw fault.registry_garbled({ problem: 'an end that is no time' })
  return {
    ok: { now, ...(expiresAt === undefined ? {} : { expiresAt }), items: items.map((item) => Buffer.from(item, 'base64url')) },
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
