// What a client's message acts on, and so what a rule must allow. What is not known to be harmless needs a rule of its own.
import type { Given } from '../access/argument-rule.ts'
import type { Kind, Target } from '../access/policy.ts'
import type { Exchange } from './exchange.ts'
import { paramsOf } from './message.ts'
import { type Frame, type Span, stringAt, token } from '../wire/frame.ts'
import { members } from '../wire/locate.ts'

const named: Readonly<Record<string, { readonly kind: Kind; readonly place: 'name' | 'uri' }>> = {
  'tools/call': { kind: 'tool', place: 'name' },
  'prompts/get': { kind: 'prompt', place: 'name' },
  'resources/read': { kind: 'resource', place: 'uri' },
  'resources/subscribe': { kind: 'resource', place: 'uri' },
  'resources/unsubscribe': { kind: 'resource', place: 'uri' },
}

const goneIn2026: ReadonlySet<string> = new Set(['resources/subscribe', 'resources/unsubscribe'])

/** Requests of both eras that act on nothing a rule could name: every principal that may use the upstream may send them. */
const requestsOfAll: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'logging/setLevel',
  'subscriptions/listen', // to what has no URI
])

/** Notifications that clients of both eras send. */
const notificationsOfAll: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
])

const recordedTools: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

const list: readonly Target[] = [{ kind: 'list' }]

/** What a message acts on, one at least. Something that names nothing where it must is a target that no rule can allow. Never throws. */
export function targetsOf({ frame, era }: Pick<Exchange, 'frame' | 'era'>): readonly Target[] {
  const { kind, method } = frame
  if (method === undefined) return list // an answer to a question of the server
  if (kind === 'notification') return notificationsOfAll.has(method) ? list : [{ kind: 'method', name: method }]
  const isGone = era === 'modern' && goneIn2026.has(method) // they name nothing there: the server tells that it has no such method
  const naming = Object.hasOwn(named, method) && !isGone ? named[method] : undefined
  if (naming) {
    const name = stringAt(frame, frame.at[naming.place])
    return [naming.kind === 'tool' ? { kind: 'tool', name, given: givenIn(frame) } : { kind: naming.kind, name }]
  }
  if (method === 'completion/complete') return [completed(paramsOf(frame)['ref'])]
  if (method === 'subscriptions/listen') {
    const uris = memberOf(paramsOf(frame)['notifications'], 'resourceSubscriptions')
    if (Array.isArray(uris) && uris.length > 0) return uris.map((uri) => ({ kind: 'resource', name: text(uri) }))
  }
  return requestsOfAll.has(method) ? list : [{ kind: 'method', name: method }]
}

/** Whether a message leaves `begin` and `end` in the record: calls, and whatever needed a rule for its method. */
export function isRecorded(exchange: Pick<Exchange, 'frame' | 'era'>): boolean {
  const { frame } = exchange
  if (frame.kind === 'request' && recordedTools.has(frame.method!)) return true
  return targetsOf(exchange)[0]!.kind === 'method'
}

function givenIn(frame: Frame): Given {
  const span = frame.at.arguments
  if (!span) return []
  return frame.bytes[span[0]] === 0x7b ? new GivenMembers(frame, span) : undefined
}

/** The arguments of a call where they stand in its bytes; read only as far as a rule looks at them. A class, since a generator function made for each call leaves a map in the old generation. */
class GivenMembers {
  readonly #frame: Frame
  readonly #span: Span

  constructor(frame: Frame, span: Span) {
    this.#frame = frame
    this.#span = span
  }

  *[Symbol.iterator]() {
    const frame = this.#frame
    for (const { name, value } of members(frame.bytes, this.#span)) yield { name, text: () => token(frame, value) }
  }
}

function completed(ref: unknown): Target {
  return memberOf(ref, 'type') === 'ref/prompt'
    ? { kind: 'prompt', name: text(memberOf(ref, 'name')) }
    : { kind: 'resource', name: text(memberOf(ref, 'uri')) }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
