// What a legacy server says, in the shapes that 2026-07-28 requires: results, errors, discovery, subscriptions, questions.
import { type Edit, type Frame, splice, stringAt, token } from '../../wire/frame.ts'
import { locate } from '../../wire/locate.ts'
import { insertInto, membersText } from '../envelope.ts'
import { errorFrame, errorOf, idToken, paramsOf } from '../message.ts'
import { code, meta, modernVersions } from '../protocol.ts'

const cacheable = new Set(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'resources/read'])

/** A legacy server's `initialize` result. */
export type Server = Readonly<Record<string, unknown>>
export type Capabilities = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

/** What a server said that it can do. */
export function capabilitiesIn(server: Server): Capabilities {
  return (server['capabilities'] ?? {}) as Capabilities
}

/** `_meta` that names the server; nothing when it did not say who it is. */
export function serverMeta(server: Server): { readonly _meta?: Readonly<Record<string, unknown>> } {
  return server['serverInfo'] === undefined ? {} : { _meta: { [meta.serverInfo]: server['serverInfo'] } }
}

/** The result of `server/discover`, made of the server's answer to `initialize`. */
export function discovered(server: Server): Record<string, unknown> {
  const { tasks: _, ...capabilities } = capabilitiesIn(server)
  return {
    resultType: 'complete',
    supportedVersions: [...modernVersions],
    capabilities,
    ...(typeof server['instructions'] === 'string' ? { instructions: server['instructions'] } : {}),
    ttlMs: 0,
    cacheScope: 'private',
    ...serverMeta(server),
  }
}

/** The result with what every result of 2026-07-28 carries, added in front of what is there. */
export function completed(frame: Frame, method: string, server: Server): Frame {
  const { result, resultType, resultMeta } = frame.at
  if (!result || frame.bytes[result[0]] !== 0x7b) return frame
  const added: Record<string, unknown> = {}
  if (!resultType) added['resultType'] = 'complete'
  if (cacheable.has(method)) {
    if (!locate(frame.bytes, result, 'ttlMs')) added['ttlMs'] = 0
    if (!locate(frame.bytes, result, 'cacheScope')) added['cacheScope'] = 'private'
  }
  if (!resultMeta) Object.assign(added, serverMeta(server))
  const edits: Edit[] = [insertInto(frame.bytes, result[0], JSON.stringify(added).slice(1, -1))]
  const isNamed = !resultMeta || frame.bytes[resultMeta[0]] !== 0x7b || locate(frame.bytes, resultMeta, meta.serverInfo) !== undefined
  if (!isNamed && server['serverInfo'] !== undefined)
    edits.push(insertInto(frame.bytes, resultMeta[0], `"${meta.serverInfo}":${JSON.stringify(server['serverInfo'])}`))
  return splice(frame, edits)
}

/** Resource-not-found has another code and shape in 2026-07-28. */
export function modernError(answer: Frame, request: Frame): Frame {
  const error = errorOf(answer)
  if (error.code !== code.resourceNotFoundLegacy) return answer
  return errorFrame(idToken(answer), code.invalidParams, error.message, { uri: stringAt(request, request.at.uri) })
}

export type Wanted = { toolsListChanged?: true; promptsListChanged?: true; resourcesListChanged?: true; resourceSubscriptions?: string[] }

/** What a server can honour of what a client wants to hear. */
export function honoured(asked: Readonly<Record<string, unknown>>, capabilities: Capabilities): Wanted {
  const wanted: Wanted = {}
  for (const kind of ['tools', 'prompts', 'resources'] as const) {
    if (asked[`${kind}ListChanged`] === true && capabilities[kind]?.['listChanged'] === true) wanted[`${kind}ListChanged`] = true
  }
  const uris = asked['resourceSubscriptions']
  if (Array.isArray(uris) && uris.length > 0 && capabilities['resources']?.['subscribe'] === true)
    wanted.resourceSubscriptions = uris.filter((uri) => typeof uri === 'string')
  return wanted
}

/** True when a listener asked for this notification. */
export function isWanted(frame: Frame, wanted: Wanted): boolean {
  switch (frame.method) {
    case 'notifications/tools/list_changed':
      return wanted.toolsListChanged === true
    case 'notifications/prompts/list_changed':
      return wanted.promptsListChanged === true
    case 'notifications/resources/list_changed':
      return wanted.resourcesListChanged === true
    case 'notifications/resources/updated':
      return wanted.resourceSubscriptions?.includes(stringAt(frame, frame.at.uri) ?? '') ?? false
    default:
      return false
  }
}

/** True when a client that declared these capabilities may be asked this. */
export function mayBeAsked(question: Frame, client: Capabilities): boolean {
  switch (question.method) {
    case 'roots/list':
      return client['roots'] !== undefined
    case 'sampling/createMessage': {
      const { tools, toolChoice } = paramsOf(question)
      return client['sampling'] !== undefined && ((tools ?? toolChoice) === undefined || client['sampling']['tools'] !== undefined)
    }
    case 'elicitation/create': {
      const { elicitation } = client
      if (elicitation === undefined) return false
      if (paramsOf(question)['mode'] === 'url') return elicitation['url'] !== undefined
      return elicitation['form'] !== undefined || elicitation['url'] === undefined
    }
    default:
      return false
  }
}

/** A server's request as an entry of `inputRequests`: no id, no progress token, no `elicitationId`; all else as it stands there. */
export function inputRequest(question: Frame): string {
  const { params, meta: metaSpan } = question.at
  const method = JSON.stringify(question.method)
  if (!params) return `{"method":${method}}`
  const kept = membersText(question, params, (name) => name !== 'elicitationId' && name !== '_meta')
  if (metaSpan) {
    const inside = membersText(question, metaSpan, (name) => name !== 'progressToken')
    if (inside.length > 0) kept.push(`"_meta":{${inside.join(',')}}`)
  }
  return `{"method":${method},"params":{${kept.join(',')}}}`
}

/** What makes a retry the same request: its method, what it names, and its arguments to the byte. */
export function sameness(frame: Frame): string {
  const named = frame.at.name ?? frame.at.uri
  return `${frame.method}\n${named ? token(frame, named) : ''}\n${frame.at.arguments ? token(frame, frame.at.arguments) : ''}`
}
