// The wire door: clients on memory wires and on the gate's socket for proved peers, in both eras, as over HTTP.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openSqliteKv } from '../../src/base/kv/sqlite.ts'
import { textOf as frameText } from '../../src/base/mcp/message.ts'
import { meta } from '../../src/base/mcp/protocol.ts'
import { serveWire } from '../../src/base/mcp/door/wire.ts'
import { startChild } from '../../src/base/supervise/child.ts'
import { startGuard } from '../../src/base/supervise/guard.ts'
import { childWire } from '../../src/base/supervise/wire.ts'
import { wireLeg } from '../../src/base/mcp/leg/wire.ts'
import { linesWire } from '../../src/base/wire/lines.ts'
import { memoryWires } from '../../src/base/wire/memory.ts'
import { scan } from '../../src/base/wire/scan.ts'
import type { Wire } from '../../src/base/wire/wire.ts'
import { upstreams as kinds } from '../../src/extensions.ts'
import config from '../../src/gate/config.ts'
import { startConfiguredGate } from '../../src/gate/configured.ts'
import { createEndpoint } from '../../src/gate/endpoint.ts'
import type { Gate } from '../../src/gate/gate.ts'
import { Sessions } from '../../src/gate/sessions.ts'
import { Upstream } from '../../src/gate/upstream.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { fixtureCommand, fixtureOf } from '../kit/fixture/process.ts'
import { type Message, enveloped, textOf } from '../kit/raw-client.ts'
import { wireTransport } from '../kit/wire-transport.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-door-'))
const socketOf = (name: string): string => join(folder, `${name}.sock`)
const gates: Pick<Gate, 'close'>[] = []
const undo: (() => Promise<void> | void)[] = []
const said: string[] = []

/** What each upstream's child prints on stderr comes here. */
const listening = {
  ...log,
  debug: (event: string, fields?: Readonly<Record<string, unknown>>) => void said.push(`${event} ${String(fields?.['line'])}`),
}

let memory: () => Wire
beforeAll(async () => {
  for (const [name, command] of Object.entries({ both: fixtureCommand, old: fixtureOf('legacy'), young: fixtureOf('modern') })) {
    const state = join(folder, name)
    const settings = config.parse({
      listen: '127.0.0.1:0',
      state,
      upstreams: { [name]: { command } },
      principals: { friend: { peers: ['12D3friend'] } },
      rules: [{ principals: ['friend'], upstreams: ['*'], tools: ['*'], resources: ['*'], prompts: ['*'] }],
    })
    const needs = { clock, log: listening, env: process.env, folder, state, kinds, connectors: [] }
    gates.push(await startConfiguredGate({ ...needs, peers: { socket: socketOf(name), upstream: name } }, settings))
  }
  const guard = startGuard({ clock, log })
  const kv = openSqliteKv({ path: join(folder, 'memory.db'), clock, log })
  const [program, ...args] = fixtureCommand as [string, ...string[]]
  const transport = {
    isCostly: true,
    open: async (era: 'legacy' | 'modern', side: Parameters<typeof wireLeg>[3]) => {
      const child = await startChild(
        { guard, clock, log: listening },
        { name: 'memory', argv: [program, ...args], cwd: folder, env: { PATH: process.env['PATH']! } },
      )
      return wireLeg(childWire(child, { log, name: 'memory' }), era, 'memory', side)
    },
  }
  const upstream = new Upstream({ clock, log }, transport, {
    name: 'memory',
    isolation: 'session',
    idleMs: 60_000,
    requestTimeoutMs: 60_000,
  })
  const sessions = new Sessions(
    { bucket: kv.bucket('sessions'), clock, log },
    { maxSessions: 10, maxSessionsPerPrincipal: 10, ttlMs: 60_000 },
  )
  const endpoint = createEndpoint({ upstream, sessions, clock, layers: [] })
  undo.push(async () => {
    await Promise.all([sessions.close(), upstream.close()])
    await kv.close()
    await guard.close()
  })
  memory = () => {
    const [near, far] = memoryWires()
    serveWire(far, endpoint, { name: 'friend', via: 'door' })
    return near
  }
})
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})
afterAll(async () => {
  await Promise.all(gates.map((gate) => gate.close()))
  for (const step of undo) await step()
  rmSync(folder, { recursive: true, force: true })
})

/** A proved stream, as the peer host hands it in. */
function peerWire(name: string, preamble: string): Wire {
  const socket = connect(socketOf(name))
  socket.write(`${preamble}\n`)
  return linesWire(socket, socket, { onClose: () => void socket.destroy() })
}

const proved = JSON.stringify({ fairlead: 1, peer: '12D3friend' })
const wireTo = (where: string): Wire => {
  const wire = where === 'memory' ? memory() : peerWire(where, proved)
  open.push(wire)
  return wire
}

/** Frames in and out of a wire, in the order they come. */
class Line {
  readonly #wire: Wire
  readonly #got: Message[] = []
  #wake: () => void = () => {}

  constructor(wire: Wire) {
    this.#wire = wire
    wire.read({
      write: (frame) => {
        this.#got.push(JSON.parse(frameText(frame)) as Message)
        this.#wake()
        return true
      },
      room: () => Promise.resolve(),
    })
  }

  say(message: unknown): void {
    this.#wire.write(scan(Buffer.from(JSON.stringify(message))))
  }

  /** The next message that `wanted` likes; the others stay. */
  async take(wanted: (message: Message) => boolean): Promise<Message> {
    const late = AbortSignal.timeout(10_000)
    for (;;) {
      const at = this.#got.findIndex(wanted)
      if (at >= 0) return this.#got.splice(at, 1)[0]!
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve
        late.addEventListener('abort', () => reject(new Error(`not among ${JSON.stringify(this.#got)}`)), { once: true })
      })
    }
  }

  answer(id: unknown): Promise<Message> {
    return this.take((message) => message.id === id && message.method === undefined)
  }

  async initialize(capabilities: object = {}): Promise<void> {
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } }
    this.say({ jsonrpc: '2.0', id: 'init', method: 'initialize', params })
    expect((await this.answer('init')).result).toMatchObject({ protocolVersion: '2025-11-25' })
    this.say({ jsonrpc: '2.0', method: 'notifications/initialized' })
  }
}

const soon = { timeout: 10_000, interval: 10 }
const count = (wanted: RegExp): number => said.filter((line) => wanted.test(line)).length

describe.each(['memory', 'both', 'old', 'young'])('%s', (where) => {
  test.each(['legacy', 'auto'] as const)('the official client, %s: calls, questions, progress, changes', async (mode) => {
    const client = new Client(
      { name: 'kit', version: '1' },
      { capabilities: { elicitation: {}, sampling: {}, roots: {} }, versionNegotiation: { mode } },
    )
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { answer: 'blue' } }))
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///somewhere' }] }))
    const events: string[] = []
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void events.push(`updated ${params.uri}`))
    await client.connect(wireTransport(wireTo(where)))
    const text = async (name: string, given: Record<string, unknown> = {}): Promise<unknown> =>
      (await client.callTool({ name, arguments: given })).content
    expect(await text('echo', { text: 'grüße' })).toMatchObject([{ text: 'grüße' }])
    expect(await text('ask', { question: 'which?' })).toMatchObject([{ text: expect.stringContaining('accept') as string }])
    expect(await text('roots')).toMatchObject([{ text: 'file:///somewhere' }])
    const seen: number[] = []
    await client.callTool({ name: 'log_and_progress', arguments: { steps: 3 } }, { onprogress: ({ progress }) => void seen.push(progress) })
    expect(seen).toEqual([1, 2, 3])
    const uri = 'test://watched-resource'
    if (mode === 'legacy') await client.subscribeResource({ uri })
    else await client.listen({ resourceSubscriptions: [uri] })
    await expect
      .poll(async () => {
        await text('touch', { uri })
        return events
      }, soon)
      .toContain(`updated ${uri}`)
    await client.close()
  })

  test('cancelled, in both eras: the far end stops, and no answer comes', async () => {
    const legacy = new Line(wireTo(where))
    await legacy.initialize()
    const young = new Line(wireTo(where))
    for (const [line, hang, cancel] of [
      [
        legacy,
        { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'hang', arguments: {} } },
        { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
      ],
      [
        young,
        enveloped(1, 'tools/call', { name: 'hang', arguments: {} }),
        enveloped(undefined, 'notifications/cancelled', { requestId: 1 }),
      ],
    ] as const) {
      const [started, cancelled] = [count(/started /), count(/cancelled /)]
      line.say(hang)
      await expect.poll(() => count(/started /), soon).toBe(started + 1)
      line.say({ ...hang })
      expect((await line.answer(1)).error?.code).toBe(-32_600) // the id is in use
      line.say(cancel)
      await expect.poll(() => count(/cancelled /), soon).toBe(cancelled + 1)
      line.say(
        line === young
          ? enveloped(1, 'tools/call', { name: 'echo', arguments: { text: 'again' } })
          : { ...hang, params: { name: 'echo', arguments: { text: 'again' } } },
      )
      expect(textOf(await line.answer(1))).toBe('again')
    }
  })

  test('a client that goes away takes what it had open with it', async () => {
    const wire = wireTo(where)
    const line = new Line(wire)
    const [started, over] = [count(/started /), count(/cancelled |child\.ended/)]
    line.say(enveloped('x', 'tools/call', { name: 'hang', arguments: {} }))
    await expect.poll(() => count(/started /), soon).toBe(started + 1)
    await wire.close()
    await expect.poll(() => count(/cancelled |child\.ended/), soon).toBeGreaterThan(over)
  })
})

describe('on one wire', () => {
  test('both eras side by side, each by its own message', async () => {
    const line = new Line(wireTo('both'))
    line.say({ jsonrpc: '2.0', id: 1, method: 'ping' })
    expect((await line.answer(1)).error?.message).toMatch(/initialize first/)
    line.say(enveloped(2, 'server/discover'))
    expect((await line.answer(2)).result).toMatchObject({ supportedVersions: ['2026-07-28'] })
    await line.initialize()
    line.say({ jsonrpc: '2.0', id: 3, method: 'ping' })
    line.say(enveloped(4, 'tools/call', { name: 'seen', arguments: {} }))
    line.say({ jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name: 'seen', arguments: {} } })
    expect((await line.answer(3)).result).toEqual({})
    expect(JSON.parse(textOf(await line.answer(4)))).toMatchObject({ era: 'modern' })
    expect(JSON.parse(textOf(await line.answer(5)))).toMatchObject({ era: 'legacy' })
  })

  test('what is wrong is answered with its id', async () => {
    const line = new Line(wireTo('both'))
    line.say({
      jsonrpc: '2.0',
      id: 'a',
      method: 'tools/list',
      params: { _meta: { [meta.protocolVersion]: '2099-01-01', [meta.clientCapabilities]: {} } },
    })
    expect((await line.answer('a')).error).toMatchObject({ code: -32_022, data: { supported: ['2026-07-28'] } })
    line.say({ jsonrpc: '2.0', id: 'b', method: 'tools/list', params: { _meta: { [meta.protocolVersion]: '2026-07-28' } } })
    expect((await line.answer('b')).error).toMatchObject({ code: -32_602 })
  })

  test('subscriptions of one client by their ids, ended by cancelling', async () => {
    const line = new Line(wireTo('both'))
    for (const [id, notifications] of [
      ['listen:1', { toolsListChanged: true }],
      ['listen:2', { promptsListChanged: true }],
    ] as const)
      line.say(enveloped(id, 'subscriptions/listen', { notifications }))
    const of = (id: string) => (message: Message) =>
      (message.params?.['_meta'] as Record<string, unknown> | undefined)?.[meta.subscriptionId] === id
    for (const id of ['listen:1', 'listen:2']) expect((await line.take(of(id))).method).toBe('notifications/subscriptions/acknowledged')
    line.say(enveloped(1, 'tools/call', { name: 'test_trigger_tool_change', arguments: {} }))
    line.say(enveloped(2, 'tools/call', { name: 'test_trigger_prompt_change', arguments: {} }))
    expect((await line.take(of('listen:1'))).method).toBe('notifications/tools/list_changed')
    expect((await line.take(of('listen:2'))).method).toBe('notifications/prompts/list_changed')
    line.say(enveloped(undefined, 'notifications/cancelled', { requestId: 'listen:1' }))
    line.say(enveloped(3, 'tools/call', { name: 'test_trigger_tool_change', arguments: {} }))
    line.say(enveloped(4, 'tools/call', { name: 'test_trigger_prompt_change', arguments: {} }))
    expect((await line.take((message) => message.method?.endsWith('list_changed') ?? false)).method).toBe(
      'notifications/prompts/list_changed',
    )
  })
})

test.each([
  ['a stranger', JSON.stringify({ fairlead: 1, peer: '12D3stranger' })],
  ['no preamble', '{"jsonrpc":"2.0","id":1,"method":"ping"}'],
  ['another protocol', JSON.stringify({ fairlead: 2, peer: '12D3friend' })],
  ['nonsense', 'hello'],
  ['too long a line', 'x'.repeat(10_000)],
])('%s is not let in', async (_what, preamble) => {
  const wire = peerWire('both', preamble)
  const got: unknown[] = []
  wire.read({ write: (frame) => !!got.push(frame), room: () => Promise.resolve() })
  wire.write(scan(Buffer.from(JSON.stringify(enveloped(1, 'server/discover')))))
  expect((await wire.ended).why).toMatch(/eof|cut/)
  expect(got).toEqual([])
})
