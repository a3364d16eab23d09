// Whoever watches keys hears of a revocation, also when the connection to the registry is lost again and again, and when more are watched than one question holds.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { knownStatements } from './known-statements.ts'
import { connectRegistry } from '../registry/client.ts'
import { type Registry, startRegistry } from '../registry/registry.ts'
import { signRevocation } from './statement.ts'
import { watchStatements } from './statement-watch.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).toReversed()) await undo()
})

/** Waits ten times shorter. */
const clock: Clock = { ...systemClock, wait: (delayMs, signal) => systemClock.wait(delayMs / 10, signal) }
const patience = { timeout: 30_000 }

async function bench(peers: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-watch-'))
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
  const start = async (port: number): Promise<Registry & { port: number }> => {
    const registry = await startRegistry(
      { clock: systemClock, log },
      { folder, listen: [`/ip4/127.0.0.1/tcp/${port}`], perPeer: { burst: 1_000, perSecond: 100 } },
    )
    cleanup.push(() => registry.close())
    return { ...registry, port: Number(/\/tcp\/(\d+)/.exec(registry.addresses()[0]!)![1]) }
  }
  const registry = await start(0)
  const host = await createPeerHost({ identity: createIdentity(), clock: systemClock, log }, { listen: [] })
  cleanup.push(() => host.close())
  const server = parseServer(`127.0.0.1:${registry.port}`)
  const known = knownRegistries(join(folder, 'registries.json'))
  const statements = knownStatements(join(folder, 'statements.json'))
  let news = 0
  const watch = watchStatements({ host, clock, log, known, statements }, { server, peers: () => peers, onNews: () => news++ })
  cleanup.push(() => watch.close())
  const connect = () => connectRegistry({ host, clock: systemClock, known }, server)
  return { connect, statements, registry, start, news: () => news }
}

test('the last of 700 peers is heard of as well', { timeout: 60_000 }, async () => {
  const keys = Array.from({ length: 700 }, () => createIdentity())
  const { connect, statements, news } = await bench(keys.map(({ peerId }) => peerId))
  const registry = await connect()
  for (const key of [keys[0]!, keys.at(-1)!]) await registry.announce(await signRevocation(key, systemClock.now()))
  for (const key of [keys[0]!, keys.at(-1)!]) await expect.poll(() => statements.standing(key.peerId).is, patience).toBe('revoked')
  expect(statements.standing(keys[300]!.peerId).is).toBe('valid')
  expect(news()).toBeGreaterThan(0)
})

test(
  'others that end the shared connection, and a registry that is started again, do not keep it from hearing',
  { timeout: 60_000 },
  async () => {
    const [first, second] = [createIdentity(), createIdentity()]
    const { connect, statements, registry, start } = await bench([first.peerId, second.peerId])
    for (let times = 0; times < 5; times++) {
      const other = await connect()
      if (times === 4) await other.announce(await signRevocation(first, systemClock.now()))
      await other.close() // and the connection with it
    }
    await expect.poll(() => statements.standing(first.peerId).is, patience).toBe('revoked')
    await registry.close()
    await start(registry.port)
    const again = await connect()
    await again.announce(await signRevocation(second, systemClock.now()))
    await expect.poll(() => statements.standing(second.peerId).is, patience).toBe('revoked')
  },
)
