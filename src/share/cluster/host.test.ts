// A host at its streams: who comes from another host is heard before anything is granted, and a deputy sends away who should go to its own host.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { createTestClock } from '../../../test/kit/clock.ts'
import { type Identity, createIdentity } from '../../base/identity/identity.ts'
import { removeFolder } from '../../kernel/file.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { seal } from '../entry/entry.ts'
import { aloneGroup } from '../entry/group.ts'
import { openShelf } from '../shelf.ts'
import { type Deputy, createHost } from './host.ts'
import { type Message, encode } from './messages.ts'
import { Busy, join } from './proof.ts'

const group = aloneGroup(new Uint8Array(32).fill(1))

async function hostFor(deputy: Deputy) {
  const folder = await mkdtemp(joinPath(tmpdir(), 'host-'))
  later(() => removeFolder(folder))
  const clock = createTestClock()
  const shelf = openShelf({ clock, log }, { folder, maxBytes: 1 << 20 })
  later(() => shelf.close())
  const host = createHost({ clock, log, group, shelf, scope: '' }, deputy)
  const comes = async (identity: Identity = createIdentity()) => {
    const [ours, theirs] = duplexPair()
    const ends = { host: 'h', member: identity.peerId }
    void host.accept(theirs, ends, '192.0.2.7')
    const { messages } = await join(clock, ours, group, ends)
    const heard: Message[] = []
    const listen = async (): Promise<void> => {
      for await (const { message } of messages) heard.push(message)
    }
    listen().catch(() => {})
    return { identity, heard, leave: () => ours.end(), say: (message: Message, bytes?: Uint8Array) => ours.write(encode(message, bytes)) }
  }
  return { clock, host, comes }
}

const answer = { status: 200, headers: [], body: Buffer.from('x') }

test('what is being asked for by the leave of the last host is not granted to another', async () => {
  const { clock, host, comes } = await hostFor({ isBusy: () => false, before: () => [] })
  host.settle()
  const waits = await comes()
  waits.say({ is: 'want', id: 1, key: 'k' })
  const asks = await comes()
  asks.say({ is: 'claim', key: 'k' })
  await clock.advance(400)
  expect(waits.heard.map(({ is }) => is)).toEqual(['about', 'others'])
  const entry = { key: 'k', atMs: clock.now(), ttlMs: 60_000, asker: '', answer }
  asks.say({ is: 'done', key: 'k', subject: 's', outcome: 'kept' }, await seal(entry, group, asks.identity))
  await expect.poll(() => waits.heard.at(-1)).toEqual({ is: 'entry', id: 1 })
})

test('who leaves before anything is granted keeps nobody waiting', async () => {
  const { clock, host, comes } = await hostFor({ isBusy: () => false, before: () => [] })
  host.settle()
  const [leaves, stays] = [await comes(), await comes()]
  leaves.say({ is: 'want', id: 1, key: 'k' })
  leaves.leave()
  await expect.poll(() => host.connected).toHaveLength(1)
  stays.say({ is: 'ping' }) // answered after all that was said before
  await expect.poll(() => stays.heard.at(-1)).toEqual({ is: 'pong' })
  await clock.advance(400)
  stays.say({ is: 'want', id: 1, key: 'k' })
  await clock.advance(1_000) // nobody else is asked
  await expect.poll(() => stays.heard.at(-1)).toEqual({ is: 'offer', id: 1, offer: 'lease' })
})

test('a deputy asks the others before it grants, and grants when none of them has it or says so', async () => {
  const { clock, comes } = await hostFor({ isBusy: () => false, before: () => ['/ip4/192.0.2.1/tcp/1/p2p/first'] })
  const [wants, has, silent] = [await comes(), await comes(), await comes()]
  has.say({ is: 'listens', port: 9 })
  await expect
    .poll(() => silent.heard.at(-1))
    .toEqual({ is: 'others', addresses: ['/ip4/192.0.2.1/tcp/1/p2p/first', `/ip4/192.0.2.7/tcp/9/p2p/${has.identity.peerId}`] })
  wants.say({ is: 'want', id: 1, key: 'k' })
  await expect.poll(() => has.heard.at(-1)).toEqual({ is: 'have', id: 1, key: 'k' })
  has.say({ is: 'entry', id: 1 }, await seal({ key: 'k', atMs: clock.now(), ttlMs: 60_000, asker: '', answer }, group, has.identity))
  await expect.poll(() => wants.heard.at(-1)).toEqual({ is: 'entry', id: 1 })

  wants.say({ is: 'want', id: 2, key: 'other' })
  await expect.poll(() => silent.heard.at(-1)).toEqual({ is: 'have', id: 2, key: 'other' })
  has.say({ is: 'none', id: 2 })
  await clock.advance(1_000)
  await expect.poll(() => wants.heard.at(-1)).toEqual({ is: 'offer', id: 2, offer: 'lease' })
})

test('a deputy that has a host says so, and no more', async () => {
  const { comes } = await hostFor({ isBusy: () => true, before: () => [] })
  await expect(comes()).rejects.toBeInstanceOf(Busy)
})
