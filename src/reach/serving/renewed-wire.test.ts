// The renewed wire against inner wires that die in every way: nobody waits in vain, nothing runs twice, the new one is initialized as the old one was.
import { describe, expect, test } from 'vitest'
import type { Fault } from '../../kernel/fault.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Frame } from '../../base/wire/frame.ts'
import { memoryWires } from '../../base/wire/memory.ts'
import { scan } from '../../base/wire/scan.ts'
import type { Wire } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { type RenewedWireSettings, renewedWire } from './renewed-wire.ts'

type Message = {
  id?: unknown
  method?: string
  result?: unknown
  error?: { code: number; message: string; data: { reason: string } }
  params?: unknown
}

const frame = (message: object): Frame => scan(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })))
const parsed = ({ bytes }: Frame): Message => JSON.parse(Buffer.from(bytes).toString()) as Message

/** Collects what a wire carries, and lets a test wait for the next message. */
function inbox(wire: Wire): { readonly got: Message[]; next(): Promise<Message> } {
  const got: Message[] = []
  const waiting: ((message: Message) => void)[] = []
  let read = 0
  wire.read({
    write(arrived) {
      got.push(parsed(arrived))
      if (waiting.length > 0) waiting.shift()!(got[read++]!)
      return true
    },
    room: () => Promise.resolve(),
  })
  return { got, next: () => (read < got.length ? Promise.resolve(got[read++]!) : new Promise((resolve) => waiting.push(resolve))) }
}

/** A bench with a renewed wire and the far ends of the inner wires it opened. */
function bench(settings: RenewedWireSettings = {}, failures: (Fault | undefined)[] = []) {
  const opened: { wire: Wire; inbox: ReturnType<typeof inbox> }[] = []
  const waiting: (() => void)[] = []
  const wire = renewedWire(
    {
      open: async () => {
        const failure = failures.shift()
        if (failure) throw failure
        const [near, far] = memoryWires()
        opened.push({ wire: far, inbox: inbox(far) })
        for (const wake of waiting.splice(0)) wake()
        return near
      },
      lost: ({ why }) => fault.child_ended({ command: 'toy', how: why }),
      clock: systemClock,
      log: silentLog,
    },
    settings,
  )
  const inner = async (nth: number) => {
    while (opened.length <= nth) await new Promise<void>((resolve) => waiting.push(resolve))
    return opened[nth]!
  }
  return { wire, client: inbox(wire), inner, opened }
}

const initialize = {
  id: 'one',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'toy', version: '9' } },
}

/** Goes through the client's initialization on the first inner wire. */
async function initialized({ wire, client, inner }: ReturnType<typeof bench>): Promise<void> {
  const first = await inner(0)
  wire.write(frame(initialize))
  expect((await first.inbox.next()).method).toBe('initialize')
  first.wire.write(frame({ id: 'one', result: { protocolVersion: '2025-06-18' } }))
  expect((await client.next()).id).toBe('one')
  wire.write(frame({ method: 'notifications/initialized' }))
  await first.inbox.next()
}

describe('an inner wire that ends', () => {
  test('every open request is answered with an error that names it, and the next one finds a new server, initialized with the client’s own words', async () => {
    const all = bench()
    const { wire, client, inner } = all
    await initialized(all)
    for (const id of [1, '1']) wire.write(frame({ id, method: 'tools/call', params: { name: 'slow' } }))
    const first = await inner(0)
    await first.inbox.next()
    await first.inbox.next()
    await first.wire.close()
    for (const id of [1, '1']) {
      const lost = await client.next()
      expect(lost.id).toBe(id)
      expect(lost.error).toMatchObject({ code: -32000, data: { reason: 'reach.child_ended' } })
      expect(lost.error!.message).toContain('toy')
    }
    wire.write(frame({ id: 2, method: 'tools/list' }))
    const second = await inner(1)
    const again = await second.inbox.next()
    expect({ ...again, id: 'one' }).toMatchObject(initialize)
    expect(second.inbox.got).toHaveLength(1) // nothing else before the answer
    second.wire.write(frame({ id: again.id, result: { protocolVersion: '2025-06-18' } }))
    expect(await second.inbox.next()).toMatchObject({ method: 'notifications/initialized' })
    expect(await second.inbox.next()).toMatchObject({ id: 2, method: 'tools/list' })
    second.wire.write(frame({ id: 2, result: { tools: [] } }))
    expect(await client.next()).toMatchObject({ id: 2, result: { tools: [] } })
    expect(client.got).toHaveLength(4) // the answer to our own initialize was not for the client
    await wire.close()
  })

  test('a request that was answered, or cancelled, is not answered again', async () => {
    const all = bench()
    const { wire, client, inner } = all
    const first = await inner(0)
    wire.write(frame({ id: 1, method: 'ping' }))
    wire.write(frame({ id: 2, method: 'tools/call', params: { name: 'slow' } }))
    wire.write(frame({ method: 'notifications/cancelled', params: { requestId: 2 } }))
    first.wire.write(frame({ id: 1, result: {} }))
    await client.next()
    for (let i = 0; i < 3; i++) await first.inbox.next()
    await first.wire.close()
    wire.write(frame({ id: 3, method: 'ping' }))
    const second = await inner(1)
    await second.inbox.next()
    second.wire.write(frame({ id: 2, result: {} })) // to nobody
    second.wire.write(frame({ id: 3, result: {} }))
    expect(await client.next()).toMatchObject({ id: 3 })
    expect(client.got.map(({ id }) => id)).toEqual([1, 3])
    await wire.close()
  })

  test('an answer to a question of the old server does not reach the new one', async () => {
    const { wire, client, inner } = bench()
    const first = await inner(0)
    first.wire.write(frame({ id: 7, method: 'roots/list' }))
    expect(await client.next()).toMatchObject({ id: 7, method: 'roots/list' })
    await first.wire.close()
    wire.write(frame({ id: 1, method: 'ping' }))
    const second = await inner(1)
    await second.inbox.next()
    wire.write(frame({ id: 7, result: { roots: [] } }))
    wire.write(frame({ id: 2, method: 'ping' }))
    expect(await second.inbox.next()).toMatchObject({ id: 2 })
    await wire.close()
  })

  test('a request that found it dead while being initialized is answered, too', async () => {
    const all = bench()
    await initialized(all)
    const { wire, client, inner } = all
    await (await inner(0)).wire.close()
    wire.write(frame({ id: 5, method: 'tools/list' }))
    const second = await inner(1)
    await second.inbox.next()
    await second.wire.close()
    expect(await client.next()).toMatchObject({ id: 5, error: { data: { reason: 'reach.child_ended' } } })
    await wire.close()
  })

  test('a server that does not take the initialization again is no server', async () => {
    const all = bench({ initializeTimeoutMs: 50 })
    await initialized(all)
    const { wire, client, inner } = all
    await (await inner(0)).wire.close()
    wire.write(frame({ id: 5, method: 'tools/list' }))
    const { inbox: second } = await inner(1)
    await second.next()
    expect(await client.next()).toMatchObject({ id: 5, error: { data: { reason: 'reach.not_initialized' } } })
    await wire.close()
  })
})

describe('an opening that fails', () => {
  test('answers what was sent meanwhile, says so to its owner, and the next request tries again', async () => {
    const { wire, client, inner } = bench({}, [fault.peer_not_found({ peer: 'toy', tried: 'nothing' })])
    wire.write(frame({ id: 1, method: 'ping' }))
    await expect(wire.opened).rejects.toMatchObject({ code: 'reach.peer_not_found' })
    expect(await client.next()).toMatchObject({
      id: 1,
      error: { code: -32000, message: expect.stringMatching(/^Peer not found/) as string },
    })
    wire.write(frame({ id: 2, method: 'ping' }))
    expect(await (await inner(0)).inbox.next()).toMatchObject({ id: 2 })
    await wire.close()
  })

  test('again and again is not hammered: during a long pause the answer comes at once', async () => {
    const broken = fault.peer_not_found({ peer: 'toy', tried: 'nothing' })
    const { wire, client, opened } = bench(
      {},
      Array.from({ length: 50 }, () => fault.peer_not_found({ peer: 'toy', tried: 'nothing' })),
    )
    const start = performance.now()
    for (let id = 1; id <= 30; id++) {
      wire.write(frame({ id, method: 'ping' }))
      expect((await client.next()).error!.message).toBe(broken.message)
    }
    expect(opened).toHaveLength(0)
    expect(performance.now() - start).toBeLessThan(4_000)
    await wire.close()
  })
})

test('a client that asks without end is refused beyond the bound, by id', async () => {
  const { wire, client, inner } = bench({ maxOpenRequests: 3 })
  await inner(0)
  for (let id = 1; id <= 4; id++) wire.write(frame({ id, method: 'tools/call' }))
  expect(await client.next()).toMatchObject({ id: 4, error: { data: { reason: 'reach.too_many_requests' } } })
  await wire.close()
})

test('while nothing is open a little is taken, then the writer is asked to wait; all of it everything arrives in order', async () => {
  const { wire, inner } = bench()
  const hints = [1, 2, 3].map((id) => wire.write(frame({ id, method: 'ping', params: { pad: 'x'.repeat(30_000) } })))
  expect(hints).toEqual([true, true, false])
  await wire.room()
  const { inbox: first } = await inner(0)
  for (const id of [1, 2, 3]) expect(await first.next()).toMatchObject({ id })
  await wire.close()
  expect(await wire.ended).toEqual({ why: 'closed' })
})
