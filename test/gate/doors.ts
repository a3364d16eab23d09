// The same gate through each of its doors: HTTP into a gate that is a process of its own, and the socket for proved peers; clients of both eras.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { loadMachineConfig } from '../../src/base/config/machine.ts'
import { encodeHeader } from '../../src/base/mcp/protocol.ts'
import { configs, connectors, upstreams as kinds } from '../../src/extensions.ts'
import { startConfiguredGate } from '../../src/gate/configured.ts'
import type { GateConfig } from '../../src/gate/upstream-kind.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { type Log, createLog } from '../../src/kernel/log.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'
import { type Message, type Params, type Reply, enveloped, modern, openSession, send } from '../kit/raw-client.ts'
import { type Era, type Line, gateFor, ledgerLines, temporaryFolder, until } from './bed.ts'
import { tokenHash } from '../../src/base/access/principal.ts'

export type Door = 'http' | 'wire'
export const doorsAndEras: readonly (readonly [Door, Era])[] = [
  ['http', 'legacy'],
  ['http', 'modern'],
  ['wire', 'legacy'],
  ['wire', 'modern'],
]

/** One request that is open: what came so far, and what is to come. */
export type Asked = {
  /** The next message that is no answer, such as a question of the gate. */
  question(): Promise<Message>
  answer(): Promise<Message>
  /** Modern over HTTP: goes away. Everywhere else: `notifications/cancelled`. */
  cancel(): Promise<void>
}

export type DoorClient = {
  ask(method: string, params?: Params): Asked
  call(name: string, given?: Params, more?: Params): Promise<Message>
  tools(): Promise<string[]>
  /** Sends a message as it is. */
  say(message: Message): Promise<void>
}

export type OpenGate = {
  readonly folder: string
  /** Of the upstream `up`. */
  readonly url: string
  /** A client as this principal, `ann` or `bob`; of the upstream `up`, or over HTTP of another one. */
  client(options?: { readonly as?: string; readonly capabilities?: Params; readonly upstream?: string }): Promise<DoorClient>
  lines(): Line[]
  /** What was logged, one JSON object a line. */
  logged(): string
  /** Runs `fairlead gate approve` against it. */
  approve(...words: string[]): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>
  /** HTTP only. */
  stop(signal: NodeJS.Signals): Promise<void>
  health(): Promise<{ status: string; checks: Record<string, { ok: boolean; reason: string }> }>
}

const people = ['ann', 'bob']
const principals = people
  .map((name) => `[gate.principals.${name}]\ntoken_sha256 = "${tokenHash(name)}"\npeers = ["12D3${name}"]\n`)
  .join('')

export type OpenOptions = {
  readonly command: readonly string[]
  readonly more?: string
  readonly settings?: string
  readonly access: string
}

/** `settings` belong to [gate], `more` to [gate.upstreams.up], `access` holds further tables; `folder` goes on with that of an earlier gate. */
export async function openGate(door: Door, era: Era, options: OpenOptions, folder?: string): Promise<OpenGate> {
  return door === 'http' ? openHttp(era, options, folder) : openWire(era, options)
}

async function openHttp(era: Era, { command, more = '', settings = '', access }: OpenOptions, folder?: string): Promise<OpenGate> {
  const gate = await gateFor({
    upstreams: { up: { command, more } },
    settings,
    access: `${access}\n${access.includes('[gate.principals.ann]') ? '' : principals}`,
    ...(folder === undefined ? {} : { folder }),
  })
  return {
    ...common(gate.folder),
    url: gate.url('up'),
    logged: () => gate.stderr.join('\n'),
    stop: (signal) => gate.stop(signal),
    client: async ({ as = 'ann', capabilities = {}, upstream = 'up' } = {}) =>
      era === 'modern' ? modernHttp(gate.url(upstream), as, capabilities) : legacyHttp(gate.url(upstream), as, capabilities),
    async health() {
      const reply = await send(`http://127.0.0.1:${gate.port}/health`, { method: 'GET', headers: { authorization: 'Bearer ann' } })
      return (await reply.json()) as never
    },
  }
}

function common(folder: string): Pick<OpenGate, 'folder' | 'lines' | 'approve'> {
  return {
    folder,
    lines: () => ledgerLines({ folder }),
    approve: (...words) => approve(join(folder, 'fairlead.toml'), words),
  }
}

/** Runs `fairlead gate approve` with this configuration. */
export async function approve(config: string, words: readonly string[]) {
  const child = spawn(process.execPath, [main, 'gate', 'approve', ...words, '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [exitCode]] = await Promise.all([
    child.stdout.toArray() as Promise<Buffer[]>,
    child.stderr.toArray() as Promise<Buffer[]>,
    once(child, 'exit') as Promise<[number]>,
  ])
  return { exitCode, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') }
}

let lastId = 0

function clientOf(ask: DoorClient['ask'], say: DoorClient['say']): DoorClient {
  const call: DoorClient['call'] = (name, given = {}, more = {}) => ask('tools/call', { name, arguments: given, ...more }).answer()
  return {
    ask,
    say,
    call,
    async tools() {
      const { result } = await ask('tools/list').answer()
      return (result!['tools'] as { name: string }[]).map(({ name }) => name)
    },
  }
}

function replied(replying: Promise<Reply>, cancel: (reply: Promise<Reply>) => Promise<void>): Asked {
  return {
    question: async () => (await (await replying).next())!,
    answer: async () => (await replying).answer(),
    cancel: () => cancel(replying),
  }
}

async function legacyHttp(url: string, token: string, capabilities: Params): Promise<DoorClient> {
  const session = await openSession(url, { token, capabilities })
  const say = async (message: Message): Promise<void> => void (await (await session.post({ jsonrpc: '2.0', ...message })).text())
  return clientOf((method, params) => {
    const id = ++lastId
    return replied(session.request(id, method, params), () => say({ method: 'notifications/cancelled', params: { requestId: id } }))
  }, say)
}

function modernHttp(url: string, token: string, capabilities: Params): DoorClient {
  const ask: DoorClient['ask'] = (method, params) => {
    const gone = new AbortController()
    const headers = typeof params?.['name'] === 'string' ? { 'mcp-name': encodeHeader(params['name']) } : {}
    const replying = modern(url, ++lastId, method, params, { token, capabilities, headers, signal: gone.signal })
    replying.catch(() => {})
    return replied(replying, async () => gone.abort())
  }
  return clientOf(ask, () => Promise.reject(new Error('a stateless client says nothing of its own')))
}

async function openWire(era: Era, { command, more = '', settings = '', access }: OpenOptions): Promise<OpenGate> {
  const folder = temporaryFolder()
  const socket = join(folder, 'peers.sock')
  const tables = `[gate.upstreams.up]\ncommand = ${JSON.stringify(command)}\n${more}\n${access}\n${access.includes('[gate.principals.ann]') ? '' : principals}`
  const file = join(folder, 'fairlead.toml')
  writeFileSync(file, `[gate]\nlisten = "127.0.0.1:0"\nstate = "${folder}/state"\nruntime = "${folder}/run"\n${settings}\n${tables}`)
  const config = (await loadMachineConfig(configs, folder, file)).tables['gate'] as GateConfig
  const logged: string[] = []
  const log: Log = createLog((line) => logged.push(line), Date.now)
  const gate = await startConfiguredGate(
    { clock, log, env: process.env, folder, state: folder, kinds, connectors, peers: { socket, upstream: 'up' } },
    config,
  )
  later(() => gate.close())
  return {
    ...common(folder),
    url: `${gate.url}/mcp/up`,
    logged: () => logged.join('\n'),
    stop: () => gate.close(),
    client: async ({ as = 'ann', capabilities = {} } = {}) => wireClient(socket, `12D3${as}`, era, capabilities),
    async health() {
      const reply = await send(`${gate.url}/health`, { method: 'GET', headers: { authorization: 'Bearer ann' } })
      return (await reply.json()) as never
    },
  }
}

async function wireClient(path: string, peer: string, era: Era, capabilities: Params): Promise<DoorClient> {
  const socket: Socket = connect(path)
  await once(socket, 'connect')
  later(() => socket.destroy())
  const came: Message[] = []
  createInterface({ input: socket }).on('line', (line) => came.push(JSON.parse(line) as Message))
  const write = (message: object): void => void socket.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  socket.write(`${JSON.stringify({ fairlead: 1, peer, protocol: 'mcp' })}\n`)
  const taken = async (what: string, is: (message: Message) => boolean): Promise<Message> => {
    await until(`${what} comes; so far ${JSON.stringify(came).slice(0, 500)}`, () => came.some(is))
    return came.splice(came.findIndex(is), 1)[0]!
  }
  const ask: DoorClient['ask'] = (method, params = {}) => {
    const id = ++lastId
    write(era === 'modern' ? enveloped(id, method, params, { capabilities }) : { id, method, params })
    return {
      question: () => taken('a question', (message) => message.method !== undefined),
      answer: () => taken(`the answer to ${method}`, (message) => message.method === undefined && message.id === id),
      cancel: async () =>
        write(
          era === 'modern'
            ? enveloped(undefined, 'notifications/cancelled', { requestId: id })
            : { method: 'notifications/cancelled', params: { requestId: id } },
        ),
    }
  }
  if (era === 'legacy') {
    await ask('initialize', { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } }).answer()
    write({ method: 'notifications/initialized' })
  }
  return clientOf(ask, async (message) => write(message))
}

const listingProgram = fileURLToPath(new URL('listing-server.ts', import.meta.url))

export type ListingServer = {
  readonly command: readonly string[]
  /** What it lists from now on, in pages. */
  list(...pages: readonly object[][]): void
  received(method: string): Message[]
}

/** The command of a server that lists what a test says, and what has reached it. */
export function listingServer(...pages: readonly object[][]): ListingServer {
  const folder = temporaryFolder()
  const [log, list] = [join(folder, 'far-end.jsonl'), join(folder, 'tools.json')]
  const write = (all: readonly object[][]): void => writeFileSync(list, JSON.stringify(all))
  write(pages)
  return {
    command: [process.execPath, listingProgram, log, list],
    list: (...all) => write(all),
    received: (method) =>
      (existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : [])
        .map((line) => JSON.parse(line) as Message)
        .filter((message) => message.method === method),
  }
}

export function tool(name: string, description = `Does ${name}`): { name: string; description: string; inputSchema: object } {
  return { name, description, inputSchema: { type: 'object' } }
}
