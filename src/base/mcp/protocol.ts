// Names and numbers of the MCP specification, revisions 2024-11-05 to 2026-07-28, that a relay must know.

/** Newest first. */
export const legacyVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const
export const modernVersions = ['2026-07-28'] as const
export const modernVersion = modernVersions[0]

/** Assumed when a legacy client sends no `MCP-Protocol-Version` (2025-06-18, transports). */
export const assumedVersion = '2025-03-26'

/** Versions are dates, so text order is time order. */
export function isModernVersion(version: string): boolean {
  return version >= modernVersion
}

/** JSON-RPC 2.0 §5.1, and MCP 2026-07-28. */
export const code = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** Free for servers: ours for "the upstream failed". */
  serverError: -32000,
  denied: -32001,
  resourceNotFoundLegacy: -32002,
  /** Ours: too often or too much; `data.retryAfterSeconds` says when to try again. */
  limited: -32003,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const

/** Members of `params._meta` and `result._meta`. */
export const meta = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  /** Ours: a signed statement of the caller's roles (base/access/grant.ts). */
  grant: 'fairlead/grant',
} as const

/** RFC 5424 severities as MCP names them, the least first. */
export const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const

/** How severe a level is; −1 when it is none. */
export function severityOf(level: unknown): number {
  return logLevels.findIndex((known) => known === level)
}

/** HTTP status of an error that was made before any handler ran (2026-07-28); errors from a handler travel in band with 200. */
export function statusOf(errorCode: number): number {
  switch (errorCode) {
    case code.methodNotFound:
      return 404
    case code.parseError:
    case code.invalidRequest:
    case code.headerMismatch:
    case code.missingCapability:
    case code.unsupportedVersion:
      return 400
    default:
      return 200
  }
}

/** The member of `params` that `Mcp-Name` mirrors, per method. */
export const namedBy: Readonly<Record<string, 'name' | 'uri' | 'taskId'>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

const plainHeader = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/
const wrapped = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/

/** A value as `Mcp-Name` and `Mcp-Param-*` carry it: as it is when it is plain visible ASCII, else Base64 of its UTF-8 between marks. */
export function encodeHeader(value: string): string {
  if (plainHeader.test(value) && !(value.startsWith('=?base64?') && value.endsWith('?='))) return value
  return `=?base64?${Buffer.from(value).toString('base64')}?=`
}

/** The value that a header carries, or undefined when its Base64 is not canonical or not UTF-8. */
export function decodeHeader(header: string): string | undefined {
  if (!(header.startsWith('=?base64?') && header.endsWith('?='))) return header
  const encoded = wrapped.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  const text = bytes.toString('utf8')
  return bytes.toString('base64') === encoded && Buffer.from(text).equals(bytes) ? text : undefined
}
