// A node that peers reach by its id: who is on its list may do what stands there, and nobody else; no token, and no port of the agent's own API.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createWallet } from '../../src/base/identity/wallet.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { openSharedHost } from '../../src/base/peer/host/shared-host.ts'
import { later } from '../kit/cleanup.ts'
import { Bed } from './bed.ts'

const ok = { exitCode: 0 }

async function person() {
  const bed = new Bed()
  const folder = join(bed.home, '.bmp')
  mkdirSync(folder)
  const { identity } = await createWallet(join(folder, 'wallet.json'), { name: 'person' })
  return { bed, folder, identity }
}

async function served() {
  const [ann, bob, eve] = await Promise.all([person(), person(), person()])
  const identityFolder = join(ann.bed.root, 'identity')
  mkdirSync(identityFolder)
  await createWallet(join(identityFolder, 'wallet.json'), { name: 'rift' })
  const allowed = [
    [ann, 'ann', 'operator', '["web"]'],
    [bob, 'bob', 'viewer', '["*"]'],
  ] as const
  const agent = await ann.bed.agent(
    'rift',
    `[peers]\nidentity = "${identityFolder}"\nlisten = "127.0.0.1:0"\n${allowed
      .map(
        ([{ identity }, name, role, services]) =>
          `[[peers.allowed]]\nid = "${identity.peerId}"\nname = "${name}"\nrole = "${role}"\nservices = ${services}\n`,
      )
      .join('')}`,
  )
  const { peerId } = agent.told as unknown as { peerId: string }
  const host = await openSharedHost(
    { peerId, identity: () => Promise.reject(new Error('it runs elsewhere')), clock: systemClock, log },
    { folder: identityFolder, listen: [] },
  )
  const [at] = host.addresses()
  await host.close()
  return { ann, bob, eve, agent, peerId, address: `peer:${peerId}@${at!.replace(/\/p2p\/.*$/, '')}` }
}

test('a role each, a stream that follows, a file that goes over, and strangers', { timeout: 60_000 }, async () => {
  const { ann, bob, eve, agent, address, peerId } = await served()
  for (const { bed } of [ann, bob, eve]) {
    expect(await bed.mcp(['node', 'add', 'rift', address])).toMatchObject(ok)
    bed.define('web', 'rift')
  }
  expect(await ann.bed.mcp(['deploy', 'web'])).toMatchObject({ ...ok, stdout: expect.stringContaining('web: ok: v1') })
  expect(await bob.bed.mcp(['status'])).toMatchObject({ ...ok, stdout: expect.stringMatching(/rift +web +running/) })
  expect(await bob.bed.mcp(['deploy', 'web'])).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining('PERMISSION_DENIED: bob may not deploy web'),
  })
  expect(await ann.bed.mcp(['status'])).toMatchObject({
    exitCode: 4,
    stdout: expect.stringContaining('PERMISSION_DENIED: ann may not status'),
  })
  expect(await eve.bed.mcp(['status', 'web'])).toMatchObject({
    exitCode: 4,
    stdout: expect.stringContaining(`${eve.identity.peerId} is not on this node's list of peers`),
  })

  const file = join(ann.bed.root, 'big')
  writeFileSync(file, Buffer.alloc(3 << 20, 7))
  expect(await ann.bed.mcp(['push', file, 'web'])).toMatchObject(ok)
  expect(readFileSync(join(agent.folder, 'srv/web/big')).equals(readFileSync(file))).toBe(true)
  const following = await bob.bed.start(['--as', 'mcp', 'events', '-f'])
  await following.heard('deployed')
  expect(await ann.bed.mcp(['restart', 'web'])).toMatchObject(ok)
  await following.heard('restarted')

  const lines = readFileSync(join(agent.folder, 'ledger/ledger.jsonl'), 'utf8')
  expect(lines).toMatch(/"event":"call.begin","who":"ann","via":"peer","operation":"deploy","service":"web"/)
  expect(lines).toMatch(/"event":"call.refused"[^\n]*"outcome":"token.stranger"/)

  agent.kill('SIGKILL')
  await agent.over
  const gone = await bob.bed.mcp(['status'])
  expect(gone).toMatchObject({ exitCode: 5 })
  expect(gone.stdout).toMatch(/rift .*last heard/)
  expect(await bob.bed.mcp(['node', 'remove', 'rift'])).toMatchObject(ok)
  expect(await bob.bed.mcp(['node', 'add', 'rift', `peer:${peerId.slice(0, 20)}`])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('is no address of a node'),
  })
})

test('a peer that opens streams and asks nothing is bounded, and others are served all the same', { timeout: 60_000 }, async () => {
  const { ann, bob, peerId, address } = await served()
  const { identity } = ann
  const host = await openSharedHost(
    { peerId: identity.peerId, identity: async () => identity, clock: systemClock, log },
    { folder: ann.folder, listen: [] },
  )
  later(() => host.close())
  const at = address.split('@')[1]!
  const streams = await Promise.all(Array.from({ length: 40 }, () => host.dial(peerId, [at], '/fairlead/node/1')))
  let ended = 0
  for (const { duplex } of streams) {
    duplex.on('error', () => {}).once('close', () => ended++)
    duplex.once('end', () => duplex.destroy()).resume()
    duplex.write('GET /v1/about HT') // it goes no further
  }
  await expect.poll(() => ended, { timeout: 5_000 }).toBe(8)
  expect(await bob.bed.mcp(['node', 'add', 'rift', address])).toMatchObject(ok)
  expect(await bob.bed.mcp(['node', 'status'])).toMatchObject(ok)
  await expect.poll(() => ended, { timeout: 15_000 }).toBe(40) // silent for too long
})
