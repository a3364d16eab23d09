// The peer and registry daemons as `fairlead up` composes them: an authorized peer's frames arrive at the gate's socket with a line that says who it is.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type Socket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../kernel/clock.ts'
import { silentLog as log } from '../kernel/log.ts'
import { createIdentity } from '../base/identity/identity.ts'
import { createWallet } from '../base/identity/wallet.ts'
import { createPeerHost } from '../base/peer/host/host.ts'
import { connectTunnel } from '../base/peer/tunnel/client.ts'
import { tunnelProtocol } from '../base/peer/tunnel/tunnel.ts'
import type { Frame } from '../base/wire/frame.ts'
import { scan } from '../base/wire/scan.ts'
import type { Wire } from '../base/wire/wire.ts'
import { reachCalls } from '../reach/client.ts'
import { startPeer } from './peer.ts'
import { startRegistry } from './registry.ts'

let folder: string
const undo: (() => unknown)[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fairlead-peer-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

/** A stand-in for the gate: answers each request with the line that opened its connection. */
async function gateAt(path: string): Promise<{ stop(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const gate = createServer((socket) => {
    sockets.add(socket)
    let preamble: string | undefined
    createInterface({ input: socket }).on('line', (line) => {
      if (preamble === undefined) preamble = line
      else socket.write(`{"jsonrpc":"2.0","id":${(JSON.parse(line) as { id: number }).id},"result":${preamble}}\n`)
    })
    socket.on('error', () => {})
  }).listen(path)
  await once(gate, 'listening')
  return {
    stop: () =>
      new Promise((resolve) => {
        gate.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function answers(wire: Wire): AsyncGenerator<Record<string, unknown>> {
  const got: Frame[] = []
  let wake = (): void => {}
  wire.read({
    write(frame) {
      got.push(frame)
      wake()
      return true
    },
    room: () => Promise.resolve(),
  })
  return (async function* () {
    for (;;) {
      while (got.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      yield JSON.parse(Buffer.from(got.shift()!.bytes).toString()) as Record<string, unknown>
    }
  })()
}

test('a proved peer reaches the gate, is known at the registry of the same node, and survives a restart of the gate', async () => {
  const { identity } = await createWallet(join(folder, 'wallet.json'), { name: 'node' })
  const registry = await startRegistry({ clock, log }, { folder: join(folder, 'registry'), host: '127.0.0.1', port: 0 })
  undo.push(() => registry.close())
  const registryPort = /\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]
  const gateSocket = join(folder, 'gate.sock')
  const gate = await gateAt(gateSocket)
  const friend = createIdentity()
  const settings = {
    walletFolder: folder,
    host: '127.0.0.1',
    port: 0,
    authorized: [friend.peerId],
    gateSocket,
    control: join(folder, 'control'),
    server: `127.0.0.1:${registryPort}`,
  }
  const peer = await startPeer({ clock, log }, settings)
  undo.push(() => peer.close())
  expect(peer.peerId).toBe(identity.peerId)
  expect(peer.registry).toBe(`127.0.0.1:${registryPort}`)

  const host = await createPeerHost({ identity: friend, clock, log }, { listen: [] })
  undo.push(() => host.close())
  const wire = await connectTunnel({ open: (signal) => host.dial(peer.peerId, peer.addresses(), tunnelProtocol, signal), clock, log })
  undo.push(() => wire.close())
  const arriving = answers(wire)
  const ping = (id: number): boolean => wire.write(scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`)))
  const proved = { fairlead: 1, peer: friend.peerId, protocol: tunnelProtocol }
  ping(1)
  expect((await arriving.next()).value).toMatchObject({ id: 1, result: proved })
  const own = reachCalls(join(folder, 'control'))
  const told = await own['show-peers']({})
  expect(told).toMatchObject({ peerId: identity.peerId, registry: `127.0.0.1:${registryPort}`, authorized: [friend.peerId] })
  expect(told.addresses).toContainEqual({ address: peer.addresses()[0], way: 'direct' })
  const session = { peer: friend.peerId, isConnected: true, isRelayed: false, ip: '127.0.0.1', cuts: 0, sent: 1, received: 1 }
  expect(told.sessions).toEqual([expect.objectContaining(session)])
  await expect
    .poll(() => own['list-registered']({}))
    .toEqual([
      expect.objectContaining({ peerId: identity.peerId, name: 'node', reachability: expect.stringContaining('direct') as string }),
    ])
  await gate.stop()
  ping(2)
  expect((await arriving.next()).value).toMatchObject({ id: 2, error: { data: { reason: expect.stringContaining('socket') as string } } })
  const second = await gateAt(gateSocket)
  undo.push(() => second.stop())
  ping(3)
  expect((await arriving.next()).value).toMatchObject({ id: 3, result: proved })

  const stranger = await createPeerHost({ identity: createIdentity(), clock, log }, { listen: [] })
  undo.push(() => stranger.close())
  const refused = connectTunnel({ open: (signal) => stranger.dial(peer.peerId, peer.addresses(), tunnelProtocol, signal), clock, log })
  await expect(refused).rejects.toMatchObject({ code: 'peer.refused', message: expect.stringContaining('not authorized') as string })
})
