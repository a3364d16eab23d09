// A gate with connectors as its operators and their services meet it: credentials from `fairlead gate rotate`, handshakes and heartbeats over plain HTTP.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { main } from '../kit/program.ts'
import { type RunningGate, temporaryFolder, unrulyServer } from './bed.ts'

export const connectorIds = ['crown_handshake', 'operator_api', 'operator_upload'] as const

export type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Readonly<Record<string, unknown>>
}

/** One request, exactly as told. */
export async function ask(
  gate: Pick<RunningGate, 'port'>,
  path: string,
  init: RequestInit & { readonly token?: string | undefined; readonly session?: string | undefined } = {},
): Promise<Answer> {
  const { token, session, ...rest } = init
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(session === undefined ? {} : { 'connector-session': session }),
    ...(rest.headers as Record<string, string> | undefined),
  }
  const response = await fetch(`http://127.0.0.1:${gate.port}${path}`, { method: 'POST', ...rest, headers })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (text.startsWith('{') ? JSON.parse(text) : {}) as Answer['body'],
  }
}

/** What a well-behaved holder says; `change` makes it another one. */
export function handshakeBody(connector: string, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    identity: { connector_id: connector, version: '0.1.0', instance: 'local' },
    supported_contexts: [{ name: 'stage-b-rehearsal', channels: ['handshake', 'heartbeat'], capabilities: ['register', 'telemetry'] }],
    rotation: { last_rotated: null, rotation_window: 'PT48H', supports_hot_swap: true, token_hint: 'operator' },
    ...change,
  }
}

export function handshake(gate: Pick<RunningGate, 'port'>, token: string | undefined, body: unknown): Promise<Answer> {
  return ask(gate, '/handshake', { token, body: JSON.stringify(body) })
}

/** A handshake that must succeed: the session's id and expiry. */
export async function openSession(
  gate: Pick<RunningGate, 'port'>,
  token: string,
  connector: string,
): Promise<{ id: string; credential_expiry: string }> {
  const { status, text, body } = await handshake(gate, token, handshakeBody(connector))
  if (status !== 200) throw new Error(`${status} ${text}`)
  return body['session'] as { id: string; credential_expiry: string }
}

export function nowText(shiftMs = 0): string {
  return `${new Date(Date.now() + shiftMs).toISOString().slice(0, 19)}Z`
}

export function heartbeatBody(expiry: string, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    event: 'stage-b-heartbeat',
    chakra: 'operator',
    cycle_count: 0,
    context: 'stage-b-rehearsal',
    credential_expiry: expiry,
    emitted_at: nowText(),
    ...change,
  }
}

const run = promisify(execFile)

/** `fairlead gate <words>` for this gate, as an operator types it. */
export async function gateCommand(
  gate: Pick<RunningGate, 'folder'>,
  ...words: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const argv = [main, 'gate', ...words, '--config', join(gate.folder, 'fairlead.toml')]
  try {
    const { stdout, stderr } = await run(process.execPath, argv)
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

/** The same, for one that takes its time. */
export function startCommand(gate: Pick<RunningGate, 'folder'>, ...words: string[]): ChildProcess {
  return spawn(process.execPath, [main, 'gate', ...words, '--config', join(gate.folder, 'fairlead.toml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** The first credential of these connectors. */
export async function issue(gate: Pick<RunningGate, 'folder'>, ...connectors: string[]): Promise<{ token: string; file: string }> {
  const file = join(gate.folder, `${connectors.join('-')}.token`)
  const { code, stderr } = await gateCommand(gate, 'rotate', ...connectors, '--out', file)
  if (code !== 0) throw new Error(stderr)
  return { token: readFileSync(file, 'utf8').trim(), file }
}

export async function statesOf(gate: Pick<RunningGate, 'folder'>): Promise<Record<string, Record<string, unknown>>> {
  const { stdout } = await gateCommand(gate, 'connectors', '--json')
  const { connectors } = JSON.parse(stdout) as { connectors: { connector_id: string }[] }
  return Object.fromEntries(connectors.map((one) => [one.connector_id, one as unknown as Record<string, unknown>]))
}

/** What a gate with the three connectors is made of: the operator's commands reach a server that counts, the crown's see all but one, and uploads land in a folder of their own. */
export function connectorGate() {
  const [far, uploads, folder] = [unrulyServer(), temporaryFolder(), temporaryFolder()]
  const access = `[gate.principals.ann]\ntoken_sha256 = "${hash('sha256', 'ann-token', 'hex')}"\n
[[gate.rules]]\nprincipals = ["operator_api"]\nupstreams = ["far"]\ntools = ["echo", "count", "exit"]\n
[[gate.rules]]\nprincipals = ["crown_handshake"]\nupstreams = ["far", "broken"]\ntools = ["*"]\n
[gate.uploads]\ndemo = ${JSON.stringify(uploads)}\n`
  const upstreams = { far: { command: far.command }, broken: { command: ['/bin/false'] }, hidden: { command: far.command } }
  return { far, uploads, folder, settings: { upstreams, access, folder } }
}
