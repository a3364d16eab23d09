// Who needs to know of a key now learns it from a real registry, once in a while and together with others; one that says nothing holds nobody up.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type Socket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { type PeerStream, createPeerHost } from '../../base/peer/host/host.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { connectRegistry } from '../registry/client.ts'
import { type Server, knownRegistries, parseServer } from '../registry/known-registries.ts'
import { registryProtocol } from '../registry/protocol.ts'
import { startRegistry } from '../registry/registry.ts'
import { freshStatements } from './fresh-statements.ts'
import { knownStatements } from './known-statements.ts'
import { openStatement, signRevocation, statementsText } from './statement.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).toReversed()) await undo()
})

let laterMs = 0
const clock: Clock = { ...systemClock, mono: () => systemClock.mono() + laterMs }

async function asking(server: Server | undefined, folder: string) {
  const host = await createPeerHost({ identity: createIdentity(), clock, log }, { listen: [] })
  cleanup.push(() => host.close())
  const known = knownRegistries(join(folder, 'registries.json'))
  const statements = knownStatements(join(folder, 'statements.json'))
  const fresh = freshStatements({ host, clock, log, known, statements }, () => server)
  cleanup.push(() => fresh.close())
  const revoke = async (key: Identity): Promise<void> => {
    const registry = await connectRegistry({ host, clock, known }, server!)
    await registry.announce(await signRevocation(key, systemClock.now()))
  }
  return { fresh, revoke, standing: ({ peerId }: Identity) => statements.standing(peerId).is }
}
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-fresh-'))
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
async function registryIn(folder: string): Promise<Server> {
  const registry = await startRegistry({ clock, log }, { folder, listen: ['/ip4/127.0.0.1/tcp/0'] })
  cleanup.push(() => registry.close())
  return parseServer(`127.0.0.1:${/\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]}`)
}

test('a key is asked about when it is needed, and again when the answer is 5 s old', async () => {
  const folder = newFolder()
  const key = createIdentity()
  const { fresh, revoke, standing } = await asking(await registryIn(folder), folder)
  await fresh.about([key.peerId])
  await revoke(key)
  await fresh.about([key.peerId])
  expect(standing(key)).toBe('valid')
  laterMs += 5_000
  await fresh.about([key.peerId])
  expect(standing(key)).toBe('revoked')
})

test('300 at once are asked about in a few questions, and none is left out', async () => {
  const folder = newFolder()
  const keys = Array.from({ length: 300 }, () => createIdentity())
  const { fresh, revoke, standing } = await asking(await registryIn(folder), folder)
  const some = [keys[0]!, keys[127]!, keys[128]!, keys.at(-1)!]
  for (const key of some) await revoke(key)
  await Promise.all(keys.map(({ peerId }) => fresh.about([peerId]))) // 300 questions would be refused: 60 at once
  expect(some.map(standing)).toEqual(['revoked', 'revoked', 'revoked', 'revoked'])
  expect(standing(keys[200]!)).toBe('valid')
})

test('a registry that tells of keys that nobody asked about tells nothing of them', async () => {
  const [asked, other] = [createIdentity(), createIdentity()]
  const told = statementsText(await Promise.all([asked, other].map(async (key) => openStatement(await signRevocation(key, 1)))))
  const registry = await createPeerHost({ identity: createIdentity(), clock, log }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
  cleanup.push(() => registry.close())
  const lie = async ({ duplex }: PeerStream): Promise<void> => {
    for await (const _ of readJson(duplex, 1 << 20)) await writeJson(duplex, { ok: { now: clock.now(), statements: told } })
  }
  registry.handle(registryProtocol, (stream) => void lie(stream).catch(() => {}))
  const port = /\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]
  const { fresh, standing } = await asking(parseServer(`127.0.0.1:${port}`), newFolder())
  await fresh.about([asked.peerId])
  expect([standing(asked), standing(other)]).toEqual(['revoked', 'valid'])
})

test('a registry that never answers is waited for a moment, and then left alone for a while; none at all, and one that is closed, not at all', async () => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  cleanup.push(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { port } = silent.address() as { port: number }
  const took = async (act: () => Promise<void>): Promise<number> => {
    const from = performance.now()
    await act()
    return performance.now() - from
  }
  const key = createIdentity()
  const { fresh } = await asking(parseServer(`127.0.0.1:${port}`), newFolder())
  const first = await took(() => fresh.about([key.peerId]))
  expect(first).toBeGreaterThan(1_000)
  expect(first).toBeLessThan(6_000)
  for (const { peerId } of [key, createIdentity()]) expect(await took(() => fresh.about([peerId]))).toBeLessThan(500)
  expect(await took(() => fresh.close())).toBeLessThan(6_000)
  expect(await took(() => fresh.about([createIdentity().peerId]))).toBeLessThan(500)
  const { fresh: nowhere } = await asking(undefined, newFolder())
  expect(await took(() => nowhere.about([key.peerId]))).toBeLessThan(500)
})
