// What the gate's tests stand on: whole answers of the raw client, SDK clients of both eras, and looks at processes, far ends and ledger lines from outside.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandOf, descendants, guardsOf } from '../../src/base/supervise/processes.fixture.ts'
import { later } from '../kit/cleanup.ts'
import { type GateOptions, type RunningGate, startGate } from '../kit/gate.ts'
import * as raw from '../kit/raw-client.ts'

export type { RunningGate }

const unrulyProgram = fileURLToPath(new URL('unruly-server.ts', import.meta.url))

export type Era = 'legacy' | 'modern'
export const eras: readonly Era[] = ['legacy', 'modern']

/** A gate that ends with the test, whatever the test did to it. */
export async function gateFor(options: GateOptions): Promise<RunningGate> {
  const gate = await startGate(options)
  later(async () => {
    if (gate.process.exitCode === null && gate.process.signalCode === null) await gate.stop('SIGKILL')
    if (options.folder === undefined) rmSync(gate.folder, { recursive: true, force: true })
  })
  return gate
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-gate-test-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

type Note = {
  readonly pid: number
  readonly started?: true
  readonly method?: string
  readonly name?: string
  readonly uri?: string
  readonly params?: Record<string, unknown>
}
export type UnrulyServer = {
  readonly log: string
  readonly command: readonly string[]
  notes(): Note[]
  callsOf(tool: string): number
  starts(): number
  pids(): number[]
}

/** The command of an unruly server, and what has reached it in all its lives. */
export function unrulyServer(...words: string[]): UnrulyServer {
  const log = join(temporaryFolder(), 'far-end.jsonl')
  const notes = (): Note[] =>
    existsSync(log)
      ? readFileSync(log, 'utf8')
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Note)
      : []
  return {
    log,
    command: [process.execPath, unrulyProgram, log, ...words],
    notes,
    callsOf: (tool) => notes().filter(({ method, name }) => method === 'tools/call' && name === tool).length,
    starts: () => notes().filter(({ started }) => started).length,
    pids: () => [...new Set(notes().map(({ pid }) => pid))],
  }
}

/** A server in a shell: one megabyte a process, for tests with many. It knows `initialize` and `tools/call`, and answers the latter with its pid. */
export const smallServer = [
  '/bin/sh',
  '-c',
  String.raw`while read -r line; do
    id=\${line#*'"id":'}; id=\${id%%[,\}]*}
    case $line in
      *'"notifications/'*) ;;
      *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"small","version":"1"}}}' ;;
      *) echo '{"jsonrpc":"2.0","id":'"$id"',"result":{"content":[{"type":"text","text":"'$$'"}]}}' ;;
    esac
  done`.replaceAll('\\$', '$'),
] as const

export type RawAnswer = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: {
    readonly result?: Record<string, unknown>
    readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> }
  }
}

export type RawOptions = {
  readonly session?: string
  readonly token?: string
  readonly headers?: Record<string, string>
  readonly httpMethod?: string
  readonly signal?: AbortSignal
}

let lastId = 0

/** One POST with one legacy message; an id is added unless it is a notification. */
export async function post(url: string, method: string, params: unknown, options: RawOptions = {}): Promise<RawAnswer> {
  const isNotification = method.startsWith('notifications/')
  return send(url, JSON.stringify({ jsonrpc: '2.0', ...(isNotification ? {} : { id: ++lastId }), method, params }), options)
}

/** One request, exactly as told. */
export async function send(
  url: string,
  body: string | undefined,
  { session, token, headers, httpMethod = 'POST', signal }: RawOptions = {},
): Promise<RawAnswer> {
  const reply = await raw.send(url, {
    method: httpMethod,
    headers: {
      ...(body === undefined ? { 'content-type': undefined } : {}),
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
    ...(signal ? { signal } : {}),
  })
  return answerOf(reply)
}

async function answerOf(reply: raw.Reply): Promise<RawAnswer> {
  const text = await reply.text()
  const data = /^data: (\{.*)$/m.exec(text)?.[1]
  return {
    status: reply.status,
    headers: new Headers(reply.headers as Record<string, string>),
    text,
    body: JSON.parse(data ?? (text.startsWith('{') ? text : '{}')) as RawAnswer['body'],
  }
}

export const initializeParams = {
  protocolVersion: '2025-11-25',
  capabilities: { roots: { listChanged: true } },
  clientInfo: { name: 'raw-client', version: '7' },
}

/** Opens a legacy session and returns its id. */
export async function openSession(url: string, options: RawOptions = {}): Promise<string> {
  const answer = await post(url, 'initialize', initializeParams, options)
  const session = answer.headers.get('mcp-session-id')
  if (session === null) throw new Error(`no session: ${answer.status} ${answer.text}`)
  await post(url, 'notifications/initialized', undefined, { ...options, session })
  return session
}

export function call(url: string, name: string, args: Record<string, unknown>, options: RawOptions = {}): Promise<RawAnswer> {
  return post(url, 'tools/call', { name, arguments: args }, options)
}

/** One stateless request of 2026-07-28. */
export async function modern(
  url: string,
  method: string,
  params: Record<string, unknown>,
  options: RawOptions & Pick<raw.ModernOptions, 'capabilities'> = {},
): Promise<RawAnswer> {
  return answerOf(await raw.modern(url, ++lastId, method, params, options))
}

/** Opens the GET stream of a session, for as long as the test runs or the gate lets it. */
export async function listen(url: string, headers: Record<string, string>): Promise<{ isEnded(): boolean }> {
  const stop = new AbortController()
  later(() => stop.abort())
  const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: stop.signal })
  if (response.status !== 200) throw new Error(`no stream: ${response.status} ${await response.text()}`)
  let isEnded = false
  void response.text().then(
    () => (isEnded = true),
    () => (isEnded = true),
  )
  return { isEnded: () => isEnded }
}

export function textOf({ body }: RawAnswer): string | undefined {
  return (body.result?.['content'] as { text: string }[] | undefined)?.[0]?.text
}

/** An official client, closed with the test. */
export async function sdkClient(url: string, era: Era): Promise<Client> {
  const client = new Client(
    { name: 'kit', version: '1' },
    { versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' } },
  )
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  later(() => client.close().catch(() => {}))
  return client
}

export async function sdkText(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  const { content } = await client.callTool({ name, arguments: args })
  return (content as { text?: string }[])[0]?.text ?? ''
}

/** The servers' processes: all that is below the gate but its guard. */
export function servers(gate: RunningGate): number[] {
  return descendants(gate.process.pid!).filter((pid) => !commandOf(pid).includes('fairlead-guard') && !commandOf(pid).startsWith('sleep'))
}

export function guardOf(gate: RunningGate): number {
  return guardsOf(gate.process.pid!)[0]!
}

export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1024
}

export type Line = { readonly seq: number; readonly prev: string; readonly hash: string; readonly event?: string } & Readonly<
  Record<string, unknown>
>

/** The ledger as its specification says, read by other means than our own: each line's hash and link are checked on the way. */
export function ledgerLines(gate: Pick<RunningGate, 'folder'>): Line[] {
  const folder = join(gate.folder, 'state', 'ledger')
  const text = readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('')
  let last: string | undefined
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const parsed = JSON.parse(line) as Line
      const hash = createHash('sha256').update('fairlead-ledger/1\n').update(line.slice(0, -54)).digest('base64url')
      if (hash !== parsed.hash) throw new Error(`entry ${parsed.seq} has another hash than its line`)
      if (last !== undefined && parsed.prev !== last) throw new Error(`entry ${parsed.seq} does not follow the one before it`)
      last = parsed.hash
      return parsed
    })
}

/** Waits until `is` says so; throws `what` after `withinMs`. */
export async function until(what: string, is: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const from = performance.now()
  while (!(await is())) {
    if (performance.now() - from > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Time of the fastest way to a true answer: retries until `attempt` does not throw, at most `withinMs`. */
export async function answeredWithin<T>(withinMs: number, attempt: () => Promise<T>): Promise<{ value: T; tookMs: number }> {
  const from = performance.now()
  for (;;) {
    try {
      const value = await attempt()
      const tookMs = performance.now() - from
      if (tookMs > withinMs) throw new Error(`answered after ${Math.round(tookMs)} ms only`)
      return { value, tookMs }
    } catch (error) {
      if (performance.now() - from > withinMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
