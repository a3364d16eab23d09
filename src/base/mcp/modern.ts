// MCP 2026-07-28: every request carries its version and capabilities in `_meta`, mirrored in headers over HTTP; nothing is remembered between requests.
import { type Frame, stringAt, valueAt } from '../wire/frame.ts'
import type { Era, McpHeaders } from './exchange.ts'
import { code, decodeHeader, encodeHeader, isModernVersion, meta, modernVersions, namedBy } from './protocol.ts'

/** An error to answer with, made before anything is forwarded; `status` is for HTTP. */
export type Refusal = { readonly code: number; readonly message: string; readonly data?: unknown; readonly status: number }

export type Classified = { readonly era: Era } | { readonly era: 'refused'; readonly refusal: Refusal }

const legacy: Classified = { era: 'legacy' }
const modern: Classified = { era: 'modern' }

/**
 * Which era a message from outside belongs to. The body decides and the header is only held against it, so that a policy on mirrored headers cannot be
 * slipped past with a missing or older version header.
 */
export function classify(frame: Frame, headers: McpHeaders, isHttp: boolean): Classified {
  if (frame.kind === 'result' || frame.kind === 'error') return legacy
  const claimSpan = frame.at.inMeta?.[meta.protocolVersion]
  const header = headers['mcp-protocol-version']?.trim()
  const isHeaderModern = header !== undefined && isModernVersion(header)
  const claim = stringAt(frame, claimSpan)
  if (frame.method === 'initialize' && !(claim !== undefined && isModernVersion(claim))) {
    return isHeaderModern ? mismatch('MCP-Protocol-Version', header, 'initialize belongs to earlier revisions') : legacy
  }
  if (!claimSpan) {
    if (!isHeaderModern) return legacy
    if (frame.kind === 'notification') return modern
    return refusedBy({
      code: code.invalidParams,
      message: 'Invalid params: the request does not name its protocol version in _meta',
      data: { envelope: { missing: missingKeys(frame) } },
      status: 400,
    })
  }
  const problem = envelopeProblem(frame, claim)
  if (problem)
    return refusedBy({
      code: code.invalidParams,
      message: `Invalid params: _meta ${problem.key}: ${problem.problem}`,
      data: { envelope: problem },
      status: 400,
    })
  if (!isHttp) return served(frame, claim!)
  if (header !== undefined && header !== claim) return mismatch('MCP-Protocol-Version', header, claim!)
  return served(frame, claim!)
}

function served(frame: Frame, claim: string): Classified {
  if ((modernVersions as readonly string[]).includes(claim) || frame.kind === 'notification') return modern
  return refusedBy({
    code: code.unsupportedVersion,
    message: `Unsupported protocol version: ${claim}`,
    data: { supported: [...modernVersions], requested: claim },
    status: 400,
  })
}

function missingKeys(frame: Frame): string[] {
  if (!frame.at.meta) return ['_meta']
  return [meta.protocolVersion, meta.clientCapabilities].filter((key) => !frame.at.inMeta?.[key])
}

function envelopeProblem(frame: Frame, claim: string | undefined): { key: string; problem: string } | undefined {
  if (claim === undefined) return { key: meta.protocolVersion, problem: 'must be a string' }
  if (frame.kind === 'notification') return undefined
  const capabilities = frame.at.inMeta?.[meta.clientCapabilities]
  if (!capabilities) return { key: meta.clientCapabilities, problem: 'missing' }
  if (frame.bytes[capabilities[0]] !== 0x7b) return { key: meta.clientCapabilities, problem: 'must be an object' }
  return undefined
}

function refusedBy(refusal: Refusal): Classified {
  return { era: 'refused', refusal }
}

function mismatch(name: string, header: string | undefined, body: string): Classified {
  return refusedBy(mismatchOf(name, header, body))
}

/** The refusal of a request one of whose headers is missing or says something else than its body. */
export function mismatchOf(name: string, header: string | undefined, body: string): Refusal {
  return {
    code: code.headerMismatch,
    message: `Bad Request: the request headers and body disagree: ${name}`,
    data: { mismatch: { header: header ?? '(missing)', body } },
    status: 400,
  }
}

/** Why the headers of a modern HTTP request do not say what its body says (2026-07-28, standard headers), or undefined. Notifications need none. */
export function headerProblem(frame: Frame, headers: McpHeaders): Refusal | undefined {
  if (frame.kind !== 'request') return undefined
  const claim = stringAt(frame, frame.at.inMeta?.[meta.protocolVersion]) ?? ''
  if (headers['mcp-protocol-version'] === undefined) return mismatchOf('MCP-Protocol-Version', undefined, claim)
  const method = headers['mcp-method']?.trim()
  if (method !== frame.method) return mismatchOf('Mcp-Method', method, frame.method!)
  const place = namedBy[frame.method!]
  const named = place && stringAt(frame, frame.at[place])
  if (named === undefined) return undefined
  const header = headers['mcp-name']?.trim()
  if (header === undefined || decodeHeader(header) !== named) return mismatchOf('Mcp-Name', header, named)
  return undefined
}

/** The standard headers that say over HTTP what the body of this message says. */
export function standardHeaders(frame: Frame): McpHeaders {
  const place = namedBy[frame.method!]
  const named = place && stringAt(frame, frame.at[place])
  return {
    'mcp-protocol-version': stringAt(frame, frame.at.inMeta?.[meta.protocolVersion]) ?? modernVersions[0],
    ...(frame.method === undefined ? {} : { 'mcp-method': frame.method }),
    ...(named === undefined ? {} : { 'mcp-name': encodeHeader(named) }),
  }
}

/** What the client of this request declared; an empty object when it declared nothing. */
export function capabilitiesOf(frame: Frame): Record<string, unknown> {
  const span = frame.at.inMeta?.[meta.clientCapabilities]
  return span ? (valueAt(frame, span) as Record<string, unknown>) : {}
}
