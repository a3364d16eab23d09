// MCP 2024-11-05 to 2025-11-25: sessions, `initialize`, and a version header that says what was negotiated.
import type { Frame } from '../wire/frame.ts'
import type { McpHeaders } from './exchange.ts'
import { assumedVersion, isModernVersion, legacyVersions } from './protocol.ts'

/** Why a legacy message after `initialize` must be refused with 400 (2025-06-18, protocol version header), or undefined. */
export function versionProblem(headers: McpHeaders): string | undefined {
  const version = headers['mcp-protocol-version'] ?? assumedVersion
  if ((legacyVersions as readonly string[]).includes(version) || isModernVersion(version)) return undefined
  return `Bad Request: Unsupported protocol version: ${version} (supported versions: ${legacyVersions.join(', ')})`
}

/** True for the request that opens a legacy session. */
export function isInitialize(frame: Frame): boolean {
  return frame.kind === 'request' && frame.method === 'initialize'
}
