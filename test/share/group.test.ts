// Members of a group and their host: across all of them a key is asked for once, whatever dies; what is not signed by who sends it, or not asked for with a lease, is not taken.
import { mkdtemp } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { readWalletCard } from '../../src/base/identity/wallet.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { removeFolder } from '../../src/kernel/file.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { type Message, type Received, encode } from '../../src/share/cluster/messages.ts'
import { createHost } from '../../src/share/cluster/host.ts'
import { NoMember, join } from '../../src/share/cluster/proof.ts'
import { type Entry, seal } from '../../src/share/entry/entry.ts'
import { aloneGroup } from '../../src/share/entry/group.ts'
import { placesIn } from '../../src/share/places.ts'
import { shareCalls } from '../../src/share/client.ts'
import { type Others, type Proxy, type ProxySettings, openProxy } from '../../src/share/proxy.ts'
import { openShelf } from '../../src/share/shelf.ts'
import { type ApiDouble, apiDouble } from '../kit/api-double.ts'
import { later } from '../kit/cleanup.ts'

type Machine = {
  readonly proxy: Proxy
  readonly own: ReturnType<typeof shareCalls>
  ask(target: string, token?: string, method?: string): Promise<{ status: number; text: string }>
  close(): Promise<void>
}

async function folderFor(): Promise<string> {
  const folder = await mkdtemp(joinPath(tmpdir(), 'group-'))
  later(() => removeFolder(folder))
  return folder
}

/** A host and, when asked for, members, joined by pipes in the place of the network. */
async function groupOn(api: ApiDouble) {
  let accept: ((stream: Duplex, member: string) => void) | undefined
  const links: Duplex[] = []
  const open = async (more: Partial<ProxySettings>, others: (wallet: string) => Others): Promise<Machine> => {
    const folder = await folderFor()
    const places = placesIn({ state: joinPath(folder, 's'), runtime: joinPath(folder, 'r') })
    const settings = {
      api: { url: new URL(api.url), names: [] },
      maxBytes: 32 << 20,
      staleMs: 0,
      defaultTtlMs: 300_000,
      group: 'o/r',
      sharedScope: 'ci',
    }
    const proxy = await openProxy({ clock, log }, places, { ...settings, secret: new Secret('s'), ...more }, others(places.wallet))
    let isOpen = true
    const close = async (): Promise<void> => {
      if (isOpen) await proxy[Symbol.asyncDispose]()
      isOpen = false
    }
    later(close)
    return {
      proxy,
      own: shareCalls(places),
      close,
      ask: (target, token = 'one', method = 'GET') => askAt(places.socket, target, token, method),
    }
  }
  let hostWallet = ''
  const host = await open({}, (wallet) => {
    hostWallet = wallet
    return { is: 'host', serve: async (given) => ((accept = given), { [Symbol.asyncDispose]: async () => void (accept = undefined) }) }
  })
  return {
    host,
    cut: () => links.splice(0).forEach((link) => link.destroy()),
    async member(more: Partial<ProxySettings> = {}): Promise<Machine & { joined: Error | undefined }> {
      const machine = await open(more, (wallet) => ({
        is: 'member',
        async dial() {
          if (!accept) throw new Error('the host is gone')
          const [ours, theirs] = duplexPair()
          links.push(ours, theirs)
          accept(theirs, readWalletCard(wallet)!.peerId)
          return { stream: ours, host: readWalletCard(hostWallet)!.peerId }
        },
      }))
      return { ...machine, joined: await machine.proxy.joined }
    },
  }
}

function askAt(socketPath: string, path: string, token: string, method: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath, path, method, headers: { host: 'localhost', authorization: `token ${token}` }, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode!, text }))
      },
    )
    sent.on('error', reject).end()
  })
}

const sumOf = (machines: readonly Machine[], name: 'api_calls_made' | 'api_calls_saved' | 'peer_hits'): number =>
  machines.reduce((sum, { proxy }) => sum + proxy.stats()[name], 0)

test('five members with five tokens ask for the same at once: each key once, and once more for nobody who is late', async () => {
  const api = await apiDouble()
  api.delayMs = 10
  const { host, member } = await groupOn(api)
  const members = await Promise.all(Array.from({ length: 5 }, () => member()))
  const targets = Array.from({ length: 10 }, (_, at) => `/repos/o/r${at}`)
  const texts = await Promise.all(
    members.map(async ({ ask }, at) => {
      const said = []
      for (const target of targets) said.push((await ask(target, `token${at}`)).text)
      return said.join()
    }),
  )
  expect(api.seen).toHaveLength(10)
  expect(new Set(texts).size).toBe(1)
  const late = await member()
  for (const target of targets) expect((await late.ask(target)).status).toBe(200)
  for (const target of targets) expect((await host.ask(target)).status).toBe(200)
  expect(api.seen).toHaveLength(10)
  const all = [host, late, ...members]
  expect([sumOf(all, 'api_calls_made'), sumOf(all, 'api_calls_saved'), sumOf(all, 'peer_hits')]).toEqual([10, 60, 50])
  expect(host.proxy.stats().connected_peers).toBe(6)
  const hosted = await host.own['list-members']({})
  expect(hosted.role).toBe('host')
  expect(new Set(hosted.members.map(({ peer }) => peer)).size).toBe(6)
})

test('a write of one is known to all: what they kept is asked for anew', async () => {
  const api = await apiDouble()
  const { host, member } = await groupOn(api)
  const [one, two] = [await member(), await member()]
  for (const { ask } of [one, two, host]) expect((await ask('/repos/o/r')).text).toContain('"version":1')
  await one.ask('/repos/o/r/issues', 'one', 'POST')
  for (const { ask } of [two, host, one]) await expect.poll(async () => (await ask('/repos/o/r')).text).toContain('"version":2')
  expect(api.seen.map(({ method }) => method)).toEqual(['GET', 'POST', 'GET'])
})

test('a holder that dies frees its lease, and without the host everybody goes on alone, and joins again when it can', async () => {
  const api = await apiDouble()
  const { host, member, cut } = await groupOn(api)
  const [one, two] = [await member(), await member()]
  let calls = 0
  const isAsked = new Promise<void>((resolve) => {
    api.instead = () => {
      resolve()
      return ++calls === 1 // the first is never answered
    }
  })
  const lost = one.ask('/repos/o/r').catch(() => undefined)
  await isAsked
  const waiting = two.ask('/repos/o/r')
  await one.close()
  expect((await waiting).status).toBe(200)
  expect(calls).toBe(2)
  await lost
  const isHeld = new Promise<void>((resolve) => {
    api.instead = () => {
      resolve()
      return ++calls === 3
    }
  })
  const held = host.ask('/repos/o/held').catch(() => undefined)
  await isHeld
  const cutOff = two.ask('/repos/o/held')
  await two.ask('/repos/o/other') // so the host has heard of the one before
  cut()
  expect((await cutOff).status).toBe(200)
  expect((await two.ask('/repos/o/alone')).status).toBe(200)
  await expect.poll(() => two.proxy.stats().connected_peers, { timeout: 10_000 }).toBe(1)
  await host.close()
  await held
  expect((await two.ask('/repos/o/later')).status).toBe(200)
})

test('another secret, or another name of the group, joins nothing and is told', async () => {
  const api = await apiDouble()
  const { host, member } = await groupOn(api)
  await host.ask('/repos/o/r')
  for (const more of [{ secret: new Secret('other') }, { group: 'o/other' }]) {
    const stranger = await member(more)
    expect(stranger.joined).toBeInstanceOf(NoMember)
    expect(stranger.joined!.message).toContain('another secret')
    expect((await stranger.ask('/repos/o/r')).status).toBe(200)
  }
  expect(api.seen).toHaveLength(3)
  expect(host.proxy.stats().connected_peers).toBe(0)
})

test('a member that lies: what it has no lease for, did not sign, dated into the future or cut is not taken', async () => {
  const group = aloneGroup(new Uint8Array(32).fill(1))
  const [liar, other] = [createIdentity(), createIdentity()]
  const shelf = openShelf({ clock, log }, { folder: await folderFor(), maxBytes: 1 << 20 })
  later(() => shelf.close())
  const host = createHost({ clock, log, group, shelf })
  const [ours, theirs] = duplexPair()
  const ends = { host: 'host', member: liar.peerId }
  void host.accept(theirs, ends)
  const { messages } = await join(clock, ours, group, ends)
  const say = (message: Message, bytes?: Uint8Array) => ours.write(encode(message, bytes))
  const next = async () => ((await messages.next()).value as Received).message
  const entry = (key: string, more: Partial<Entry> = {}): Entry => ({
    key,
    atMs: clock.now(),
    ttlMs: 60_000,
    asker: 'a',
    answer: { status: 200, headers: [], body: Buffer.from('x') },
    ...more,
  })
  const done = (key: string): Message => ({ is: 'done', key, subject: 's', outcome: 'kept' })
  say(done('unasked'), await seal(entry('unasked'), group, liar))
  const lies: Record<string, Uint8Array> = {
    a: await seal(entry('a'), group, other),
    b: await seal(entry('b', { atMs: clock.now() + 3_600_000 }), group, liar),
    c: (await seal(entry('c'), group, liar)).subarray(0, -1),
    d: await seal(entry('a'), group, liar),
    e: await seal(entry('e'), aloneGroup(new Uint8Array(32)), liar),
  }
  for (const [key, bytes] of Object.entries(lies)) {
    say({ is: 'want', id: 1, key })
    expect(await next()).toEqual({ is: 'offer', id: 1, offer: 'lease' })
    say(done(key), bytes)
  }
  say({ is: 'want', id: 2, key: 'forgotten' })
  await next()
  host.forget(['s'])
  expect(await next()).toEqual({ is: 'forget', subjects: ['s'] })
  say(done('forgotten'), await seal(entry('forgotten'), group, liar)) // it was asked for before that
  say({ is: 'want', id: 3, key: 'true' })
  await next()
  say(done('true'), await seal(entry('true'), group, liar))
  say({ is: 'want', id: 4, key: 'true' })
  expect(await next()).toEqual({ is: 'entry', id: 4 })
  expect(shelf.size).toBe(1)
  expect(shelf.counts.refused).toBe(5)
  ours.write(Buffer.alloc(16, 255))
  await messages.next().catch(() => {}) // cut off
  await expect.poll(() => host.connected).toEqual([])
})
