// The environment's part in the connectors: whether they are used at all, where the gate is, and what each holder says of its credential.
import { Secret } from '../../kernel/secret.ts'
import { bearerToken } from '../../base/access/principal.ts'
import { fault } from '../faults.ts'
import { parseInstant } from './instant.ts'
import { endOf, parseDuration } from './iso-duration.ts'

type Env = Readonly<Record<string, string | undefined>>

/** What one connector's holder says; what is absent, its defaults and the gate know. */
export type ConnectorToggles = {
  readonly token?: Secret
  /** Milliseconds since 1970. */
  readonly lastRotatedMs?: number
  /** ISO 8601, as it was written. */
  readonly rotationWindow?: string
  readonly supportsHotSwap?: boolean
  readonly rotationHint?: string
}

export type Toggles = {
  /** `ABZU_USE_MCP` is exactly `1`. */
  readonly isOn: boolean
  /** It is set, to something else than `1`: a gate that was started so keeps its connectors frozen. */
  readonly isOff: boolean
  /** Without a slash at its end. */
  readonly gatewayUrl: string
  of(connector: string): ConnectorToggles
}

const defaultUrl = 'http://localhost:8001'
const maxHintLength = 256
const maxTokenLength = 4_096
const yes = new Set(['1', 'true', 'yes', 'on'])
const no = new Set(['0', 'false', 'no', 'off'])

/** What a variable says, or what is wrong with it. */
type Read<T> = { readonly value: T } | { readonly problem: string }

/**
 * Reads the toggles once, at the start. Each connector's own form (`OPERATOR_API_STAGE_B_LAST_ROTATED`) goes before the common one (`MCP_LAST_ROTATED`); an empty
 * variable is none. Fault `gate.bad_toggle`, which names the variable and never its value.
 */
export function togglesFrom(env: Env, connectors: readonly string[]): Toggles {
  const said = env['ABZU_USE_MCP'] ?? ''
  const gatewayUrl = first(env, ['MCP_GATEWAY_URL'], urlIn) ?? defaultUrl
  const own = new Map(connectors.map((id) => [id, togglesOf(env, id)]))
  return { isOn: said === '1', isOff: said !== '1' && said !== '', gatewayUrl, of: (id) => own.get(id) ?? {} }
}

/** `OPERATOR_API_STAGE_B_` for `operator_api`. */
function prefixOf(connector: string): string {
  return `${connector.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_STAGE_B_`
}

function togglesOf(env: Env, connector: string): ConnectorToggles {
  const one = <T>(suffix: string, read: (text: string) => Read<T>): T | undefined =>
    first(env, [`${prefixOf(connector)}${suffix}`, `MCP_${suffix}`], read)
  const found = {
    token: one('CONNECTOR_TOKEN', tokenIn),
    lastRotatedMs: one('LAST_ROTATED', instantIn),
    rotationWindow: one('ROTATION_WINDOW', windowIn),
    supportsHotSwap: one('SUPPORTS_HOT_SWAP', switchIn),
    rotationHint: one('ROTATION_HINT', hintIn),
  }
  return Object.fromEntries(Object.entries(found).filter(([, part]) => part !== undefined))
}

/** The first of the variables that holds something, as `read` understands it. */
function first<T>(env: Env, names: readonly string[], read: (text: string) => Read<T>): T | undefined {
  const name = names.find((candidate) => env[candidate])
  if (name === undefined) return undefined
  const found = read(env[name]!)
  if ('problem' in found) throw fault.bad_toggle({ name, problem: found.problem })
  return found.value
}

function urlIn(text: string): Read<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) return { problem: 'must be an http or https URL' }
  if (url.username !== '' || url.password !== '') return { problem: 'may hold no user name or password' }
  if (url.search !== '' || url.hash !== '') return { problem: 'must end with its path' }
  return { value: url.href.replace(/\/+$/, '') }
}

function tokenIn(text: string): Read<Secret> {
  return bearerToken(`Bearer ${text}`) === text && text.length <= maxTokenLength
    ? { value: new Secret(text) }
    : { problem: 'must be a bearer token: letters, digits and -._~+/ without blanks' }
}

function instantIn(text: string): Read<number> {
  const value = parseInstant(text)
  return value === undefined ? { problem: 'must be a time with its zone, such as 2025-01-17T22:00:05Z' } : { value }
}

function windowIn(text: string): Read<string> {
  const duration = parseDuration(text)
  if (!duration) return { problem: 'must be an ISO 8601 duration, such as PT48H or P2D' }
  return endOf(0, duration) > 0 ? { value: text } : { problem: 'must be longer than nothing' }
}

function switchIn(text: string): Read<boolean> {
  const word = text.toLowerCase()
  return yes.has(word) || no.has(word) ? { value: yes.has(word) } : { problem: 'must be 1 or 0' }
}

function hintIn(text: string): Read<string> {
  return text.length <= maxHintLength ? { value: text } : { problem: `must have at most ${maxHintLength} characters` }
}
