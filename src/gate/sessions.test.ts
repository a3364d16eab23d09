// Sessions when their records cannot be written, when they would grow too large, and when there is no room for another process.
import { setTimeout as passing } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { systemClock as clock } from '../kernel/clock.ts'
import { silentLog } from '../kernel/log.ts'
import type { Principal } from '../base/access/principal.ts'
import { fault as kvFault } from '../base/kv/faults.ts'
import type { Bucket } from '../base/kv/kv.ts'
import { createMemoryKv } from '../base/kv/memory.ts'
import { type Out, type Outcome, neverAborted, noHeaders } from '../base/mcp/exchange.ts'
import { idToken, resultFrame, resultOf } from '../base/mcp/message.ts'
import type { Session } from '../base/mcp/scopes.ts'
import { beforeSending } from '../base/mcp/leg/before-sending.ts'
import { wireLeg } from '../base/mcp/leg/wire.ts'
import type { Frame } from '../base/wire/frame.ts'
import { memoryWires } from '../base/wire/memory.ts'
import { scan } from '../base/wire/scan.ts'
import { Children } from './children.ts'
import { createEndpoint } from './endpoint.ts'
import { Sessions } from './sessions.ts'
import { type Served, type Transport, Upstream } from './upstream.ts'

const ann: Principal = { name: 'ann', via: 'token' }
const bob: Principal = { name: 'bob', via: 'token' }

type Bed = {
  readonly sessions: Sessions
  /** Servers that run now. */
  running(): number
  readonly seen: string[]
  readonly warned: string[]
  disk: 'fine' | 'full'
  open(principal?: Principal, params?: Record<string, unknown>): Promise<{ session: Session | undefined; outcome: Outcome }>
  ask(session: Session, method: string, params?: Record<string, unknown>): Promise<{ outcome: Outcome; answer: Frame | undefined }>
  find(id: string): Promise<Session | undefined>
}

function bedFor({ max = 100, maxPerPrincipal = 100, idleMs = 0 } = {}): Bed {
  let running = 0
  let disk: Bed['disk'] = 'fine'
  const seen: string[] = []
  const warned: string[] = []
  const held = createMemoryKv({ clock }).bucket('sessions')
  const whole = (): void => {
    if (disk === 'full') throw kvFault.unavailable({ reason: 'the disk is full' })
  }
  const bucket: Bucket = {
    ...held,
    create: async (...given) => (whole(), held.create(...given)),
    update: async (...given) => (whole(), held.update(...given)),
    delete: async (...given) => (whole(), held.delete(...given)),
  }
  const transport: Transport = {
    isCostly: true,
    open: async (era, side) => {
      const [near, far] = memoryWires()
      running++
      void far.ended.then(() => running--)
      far.read({
        room: () => Promise.resolve(),
        write(frame) {
          seen.push(frame.method ?? frame.kind)
          if (frame.kind !== 'request' || frame.method === 'tools/call') return true
          const capabilities = { tools: {}, resources: { subscribe: true }, logging: {} }
          return far.write(
            resultFrame(idToken(frame), { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'x', version: '1' } }),
          )
        },
      })
      return wireLeg(near, era, 'up', side)
    },
  }
  const log = { ...silentLog, warn: (event: string) => void warned.push(event) }
  const sessions = new Sessions({ bucket, clock, log }, { maxSessions: 1_000, maxSessionsPerPrincipal: 1_000, ttlMs: 60_000 })
  const children = new Children({ max, maxPerPrincipal }, () => sessions.idle())
  const upstream = new Upstream({ clock, log, children }, transport, { name: 'up', isolation: 'session', idleMs, requestTimeoutMs: 5_000 })
  const endpoint = createEndpoint({ upstream, sessions, clock, log, layers: [] })
  const side = { write: () => true, room: () => Promise.resolve() }
  const exchange = (principal: Principal, method: string, params: object, id: number) => ({
    frame: scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params }))),
    era: 'legacy' as const,
    principal,
    headers: noHeaders,
    abort: neverAborted,
  })
  let lastId = 0
  let answer: Frame | undefined
  const out: Out = { write: (frame) => ((answer = frame), true), room: () => Promise.resolve() }
  return {
    sessions,
    seen,
    warned,
    running: () => running,
    get disk() {
      return disk
    },
    set disk(now) {
      disk = now
    },
    open: (principal = ann, params = {}) =>
      endpoint.open(exchange(principal, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, ...params }, ++lastId), out, side),
    async ask(session, method, params = {}) {
      answer = undefined
      const principal = (session as Session & { principal: Principal }).principal
      const outcome = await session.handle(exchange(principal, method, params, ++lastId), out)
      return { outcome, answer }
    },
    find: (id) => endpoint.find(id, ann, () => side),
  }
}

describe('when the disk is full', () => {
  test('a session that ends leaves no process, is found by nobody, and its record goes when there is room', async () => {
    const bed = bedFor()
    const { session } = await bed.open()
    bed.disk = 'full'
    await session!.close('its connection ended')
    await expect.poll(bed.running).toBe(0)
    expect(await bed.find(session!.id)).toBeUndefined()
    expect(bed.warned).toEqual(['gate.session.unremoved'])
    await bed.sessions.sweep()
    bed.disk = 'fine'
    await bed.sessions.sweep()
    expect(bed.warned).toEqual(['gate.session.unremoved'])
    await bed.sessions.count()
    expect(await bed.find(session!.id)).toBeUndefined()
  })

  test('a request that was answered stays answered, and what it set is kept later', async () => {
    const bed = bedFor({ idleMs: 1_000_000 })
    const { session } = await bed.open()
    bed.disk = 'full'
    const { outcome, answer } = await bed.ask(session!, 'resources/subscribe', { uri: 'a:b' })
    expect(outcome).toEqual({ is: 'answered' })
    expect(resultOf(answer!)).toBeDefined()
    expect(bed.warned).toEqual(['gate.session.unsaved'])
  })

  test('an idle session stops its server all the same, and is let go of when its record is written', async () => {
    const bed = bedFor()
    const { session } = await bed.open()
    await bed.ask(session!, 'resources/subscribe', { uri: 'a:b' })
    bed.disk = 'full'
    await bed.ask(session!, 'resources/subscribe', { uri: 'c:d' })
    await passing(2)
    await bed.sessions.sweep()
    await expect.poll(bed.running).toBe(0)
    bed.disk = 'fine'
    await bed.sessions.sweep()
    const again = await bed.find(session!.id)
    expect(again).not.toBe(session)
    await bed.ask(again!, 'ping')
    expect(bed.seen.filter((method) => method === 'resources/subscribe')).toHaveLength(4)
  })

  test('no session is opened that could not be kept', async () => {
    const bed = bedFor()
    bed.disk = 'full'
    const { session, outcome } = await bed.open()
    expect(session).toBeUndefined()
    expect(outcome).toMatchObject({ is: 'notSent', fault: { code: 'kv.unavailable' } })
    await expect.poll(bed.running).toBe(0)
  })
})

describe('what a session holds is bounded', () => {
  test('a subscription that does not fit any more is refused before the server hears of it', async () => {
    const bed = bedFor({ idleMs: 1_000_000 })
    const { session } = await bed.open()
    const uri = (at: number): string => `file:///${at}/${'x'.repeat(9_000)}`
    const outcomes: Outcome[] = []
    for (let at = 0; at < 8; at++) outcomes.push((await bed.ask(session!, 'resources/subscribe', { uri: uri(at) })).outcome)
    expect(outcomes.map(({ is }) => is)).toEqual([...Array<string>(6).fill('answered'), 'notSent', 'notSent'])
    expect(outcomes.at(-1)).toMatchObject({ fault: { code: 'gate.too_much_kept' } })
    expect(bed.seen.filter((method) => method === 'resources/subscribe')).toHaveLength(6)
    expect(bed.warned).toEqual([])
    await bed.ask(session!, 'resources/unsubscribe', { uri: uri(0) })
    expect((await bed.ask(session!, 'resources/subscribe', { uri: uri(9) })).outcome).toEqual({ is: 'answered' })
  })

  test('an initialize that does not fit is refused, and starts nothing', async () => {
    const bed = bedFor()
    const { session, outcome } = await bed.open(ann, { clientInfo: { name: 'x'.repeat(40_000), version: '1' } })
    expect(session).toBeUndefined()
    expect(outcome).toMatchObject({ is: 'notSent', fault: { code: 'gate.too_much_kept' } })
    expect(bed.seen).toEqual([])
  })

  test('a level that is none is the server’s to refuse, and is not kept', async () => {
    const bed = bedFor({ idleMs: 1_000_000 })
    const { session } = await bed.open()
    expect((await bed.ask(session!, 'logging/setLevel', { level: { toString: 1, valueOf: 1 } })).outcome).toEqual({ is: 'answered' })
  })
})

describe('how many servers run at once is bounded', () => {
  test('the one idle for longest of the same principal makes room, and comes back with its next message', async () => {
    const bed = bedFor({ maxPerPrincipal: 3, idleMs: 1_000_000 })
    const others = await bed.open(bob)
    const mine: Session[] = []
    for (let at = 0; at < 10; at++) mine.push((await bed.open()).session!)
    expect(bed.running()).toBe(4)
    expect((await bed.ask(mine[0]!, 'ping')).outcome).toEqual({ is: 'answered' })
    expect(bed.running()).toBe(4)
    expect(bed.seen.filter((method) => method === 'initialize')).toHaveLength(12)
    expect((await bed.ask(others.session!, 'ping')).outcome).toEqual({ is: 'answered' })
    expect(bed.seen.filter((method) => method === 'initialize')).toHaveLength(12)
  })

  test('when all are busy the next is refused, its server is not taken for one that fails, and room is found again', async () => {
    const bed = bedFor({ max: 2, idleMs: 1_000_000 })
    const first = (await bed.open()).session!
    const second = (await bed.open(bob)).session!
    void bed.ask(first, 'tools/call', { name: 'x' })
    void bed.ask(second, 'tools/call', { name: 'x' })
    await expect.poll(() => bed.seen.filter((method) => method === 'tools/call').length).toBe(2)
    expect(await bed.open()).toMatchObject({ session: undefined, outcome: { is: 'notSent', fault: { code: 'gate.too_many_children' } } })
    await first.close('over')
    expect((await bed.open()).outcome).toEqual({ is: 'answered' })
    expect(bed.running()).toBe(2)
  })

  test('many that open at once keep the bound', async () => {
    const bed = bedFor({ maxPerPrincipal: 4, idleMs: 1_000_000 })
    const opened = await Promise.all(Array.from({ length: 40 }, () => bed.open()))
    const refused = opened.filter(({ outcome }) => outcome.is === 'notSent')
    expect(bed.running()).toBeLessThanOrEqual(4)
    for (const { outcome } of refused) expect(outcome).toMatchObject({ fault: { code: 'gate.too_many_children' } })
    expect(opened.length - refused.length).toBeGreaterThanOrEqual(4)
  })
})

test('what a layer throws is an outcome, not the end of the process', async () => {
  const bed = bedFor()
  const errors: string[] = []
  const endpoint = createEndpoint({
    upstream: new Upstream(
      { clock, log: silentLog },
      { isCostly: false, open: () => Promise.reject(new Error('never')) },
      { name: 'up', isolation: 'session', idleMs: 1, requestTimeoutMs: 1 },
    ),
    sessions: bed.sessions,
    clock,
    log: { ...silentLog, error: (event) => void errors.push(event) },
    layers: [() => () => Promise.reject(new TypeError('a defect'))],
  })
  const frame = scan(Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}'))
  const outcome = await endpoint.handle(
    { frame, era: 'modern', principal: ann, headers: noHeaders, abort: neverAborted },
    { write: () => true, room: () => Promise.resolve() },
  )
  expect(outcome).toMatchObject({ is: 'unknown', fault: { kind: 'bug' } })
  expect(errors).toEqual(['gate.defect'])
})

test('a defect while a message is sent leaves its fate unknown; one before that says that it was not', async () => {
  const bed = bedFor()
  const leg = {
    era: 'modern',
    tellsApart: true,
    ended: new Promise<string>(() => {}),
    send: () => Promise.reject(),
    listen: async () => false,
    close: async () => {},
  } as const
  const served = (withModern: Served['withModern']): Served => ({
    name: 'up',
    settings: { isolation: 'session', idleMs: 1_000, requestTimeoutMs: 1_000 },
    transport: { isCostly: false },
    openLegacy: () => Promise.reject(),
    resumeLegacy: () => Promise.reject(),
    withModern,
  })
  const ask = (upstream: Served) =>
    createEndpoint({ upstream, sessions: bed.sessions, clock, layers: [] }).handle(
      {
        frame: scan(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')),
        era: 'modern',
        principal: ann,
        headers: noHeaders,
        abort: neverAborted,
      },
      { write: () => true, room: () => Promise.resolve() },
    )
  const during = served((_principal, _frame, use) => use({ ...leg, request: () => Promise.reject(new TypeError('a defect')) }))
  expect(await ask(during)).toMatchObject({ is: 'unknown', fault: { kind: 'bug' } })
  const before = served(() => beforeSending(Promise.reject(new TypeError('a defect'))))
  expect(await ask(before)).toMatchObject({ is: 'notSent', fault: { code: 'gate.upstream_refused' } })
})
