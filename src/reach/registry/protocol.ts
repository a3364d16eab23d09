// What is said between a registry and its clients on `/fairlead/registry/1`: one JSON request after the other, each answered once, in order.
import type { FaultKind } from '../../kernel/fault.ts'
import { outside } from '../../kernel/fault.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from '../faults.ts'
import { maxCardAddresses, maxCardBytes } from '../node/peer-card.ts'
import type { Refusal } from '../request-loop.ts'
import { type Statement, maxStatementBytes, readStatements, statementsText } from '../succession/statement.ts'

export const registryProtocol = '/fairlead/registry/1'
/** A card in base64url, and what stands around it. */
export const maxRequestBytes = 8 << 10
/** A page of cards. */
export const maxAnswerBytes = 1 << 20
/** So that a page of the largest cards stays within an answer. */
export const maxPage = 100
/** Of what names a peer. */
export const maxTextLength = 128
/** `12D3KooW` and one more: what all ids begin with tells nobody apart. */
export const minPrefixLength = 9
/** Peers that one question about keys may name: so many ids fit into a request. */
export const maxAsked = 128
/** Statements in one answer: so many of the largest fit into it. */
export const maxStatements = 512

export type RegistryRequest =
  | { readonly do: 'publish'; readonly card: Uint8Array }
  | { readonly do: 'lookup'; readonly peer: string }
  | { readonly do: 'list'; readonly after: string | undefined; readonly limit: number }
  | { readonly do: 'announce'; readonly statement: Uint8Array }
  /** Dial the addresses on the card of whoever asks. */
  | { readonly do: 'prove' }
  | { readonly do: 'statements'; readonly peers: readonly string[] }

/** A card as the registry hands it on: signed by its owner, with how long ago it came, and which of its addresses the registry itself has dialled with success lately. */
export type Listed = { readonly card: string; readonly ageMs: number; readonly proved?: readonly string[] }
/** `now` is the registry's wall time, in milliseconds: a client whose clock is wrong can say so. */
export type RegistryAnswer =
  | {
      readonly ok: {
        readonly now: number
        readonly cards?: readonly Listed[]
        readonly more?: boolean
        readonly proved?: readonly string[]
        /** Opened: what is forged is left out. */
        readonly statements?: readonly Statement[]
      }
    }
  | { readonly refused: Refusal }

/** A request as it is sent. */
export function requestValue(request: RegistryRequest): unknown {
  if (request.do === 'publish') return { do: 'publish', card: Buffer.from(request.card).toString('base64url') }
  return request.do === 'announce' ? { do: 'announce', statement: Buffer.from(request.statement).toString('base64url') } : request
}

/** An answer as it is sent. */
export function answerValue(answer: RegistryAnswer): unknown {
  if ('refused' in answer || !answer.ok.statements) return answer
  return { ok: { ...answer.ok, statements: statementsText(answer.ok.statements) } }
}

/** Reads a request from outside; fault `reach.request_invalid`. */
export function readRequest(value: unknown): RegistryRequest {
  if (!isObject(value)) throw fault.request_invalid({ problem: 'it is no object' })
  const text = (member: string, maxLength: number): string => {
    const found = value[member]
    if (typeof found !== 'string' || found.length === 0 || found.length > maxLength)
      throw fault.request_invalid({ problem: `"${member}" is no text of 1 to ${maxLength} characters` })
    return found
  }
  switch (value['do']) {
    case 'publish':
      return { do: 'publish', card: Buffer.from(text('card', Math.ceil((maxCardBytes * 4) / 3)), 'base64url') }
    case 'lookup':
      return { do: 'lookup', peer: text('peer', maxTextLength) }
    case 'list': {
      const limit = value['limit'] ?? maxPage
      if (!Number.isInteger(limit) || (limit as number) < 1) throw fault.request_invalid({ problem: '"limit" is no count' })
      return {
        do: 'list',
        after: value['after'] === undefined ? undefined : text('after', maxTextLength),
        limit: Math.min(limit as number, maxPage),
      }
    }
    case 'prove':
      return { do: 'prove' }
    case 'announce':
      return { do: 'announce', statement: Buffer.from(text('statement', Math.ceil((maxStatementBytes * 4) / 3)), 'base64url') }
    case 'statements': {
      const { peers } = value
      if (!Array.isArray(peers) || peers.length > maxAsked || !peers.every((peer) => typeof peer === 'string' && isPeerId(peer)))
        throw fault.request_invalid({ problem: `"peers" is no list of at most ${maxAsked} peer ids` })
      return { do: 'statements', peers: peers as string[] }
    }
    default:
      throw fault.request_invalid({ problem: '"do" is none of publish, lookup, list, prove, announce, statements' })
  }
}

/** Reads an answer from outside; fault `reach.registry_garbled`. */
export function readAnswer(value: unknown): RegistryAnswer {
  const reply = readReply(value)
  if ('refused' in reply) return reply
  const { now, cards, more } = reply.ok
  const statements = reply.ok['statements'] === undefined ? undefined : readStatements(reply.ok['statements'], maxStatements)
  if (reply.ok['statements'] !== undefined && !statements) throw garbled('statements that are none')
  const proved = provedIn(reply.ok['proved'])
  const said = { now, ...(statements ? { statements } : {}), ...(proved ? { proved } : {}) }
  if (cards === undefined) return { ok: said }
  const isListed = (item: unknown): boolean => isObject(item) && typeof item['card'] === 'string' && typeof item['ageMs'] === 'number'
  if (!Array.isArray(cards) || cards.length > maxPage || !cards.every(isListed)) throw garbled('cards that are none')
  const listed = (cards as Listed[]).map(({ card, ageMs, proved }) => ({ card, ageMs, proved: provedIn(proved) ?? [] }))
  return { ok: { ...said, cards: listed, more: more === true } }
}

/** What every answer of a registry is, whatever was asked: its members beside `now` are still to be checked. Fault `reach.registry_garbled`. */
export type Reply = { readonly ok: { readonly now: number; readonly [member: string]: unknown } } | { readonly refused: Refusal }

export function readReply(value: unknown): Reply {
  if (!isObject(value)) throw garbled('no object')
  const { ok, refused } = value
  if (isObject(refused)) {
    const { code, kind, message, known } = refused
    if (typeof code !== 'string' || typeof message !== 'string' || typeof kind !== 'string' || !Object.hasOwn(outside, kind))
      throw garbled('a refusal without a reason')
    return {
      refused: {
        code: code.slice(0, 64),
        kind: kind as FaultKind,
        message: message.slice(0, 500),
        ...(Number.isSafeInteger(known) ? { known: known as number } : {}),
      },
    }
  }
  if (!isObject(ok) || typeof ok['now'] !== 'number') throw garbled('neither "ok" nor "refused"')
  return { ok: { ...ok, now: ok['now'] } }
}

/** Addresses; undefined when it is no list of them. */
function provedIn(value: unknown): readonly string[] | undefined {
  const isText = (item: unknown): item is string => typeof item === 'string'
  return Array.isArray(value) && value.length <= maxCardAddresses && value.every(isText) ? value : undefined
}

function garbled(problem: string): Error {
  return fault.registry_garbled({ problem })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
