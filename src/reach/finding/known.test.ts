// What a machine remembers and is told: registries with their pinned keys, addresses of peers, who is authorized, how often one may ask.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { authorizedPeers } from '../serving/authorized-peers.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import { peerDial } from './find-peer.ts'
import { knownAddresses } from './known-addresses.ts'
import { listenAddress } from '../node/listening.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { knownRegistries, parseServer, serverAddress, serverText } from '../registry/known-registries.ts'
import { rateLimit } from '../../base/access/rate.ts'
import { toldAddresses } from '../registry/registration.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-known-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const file = (): string => join(folder, String(++files))

describe('a registry is named', () => {
  test.each([
    ['example.org', 'example.org:8765', '/dns/example.org/tcp/8765'],
    ['localhost:9', 'localhost:9', '/dns/localhost/tcp/9'],
    ['192.0.2.7', '192.0.2.7:8765', '/ip4/192.0.2.7/tcp/8765'],
    ['::1', '[::1]:8765', '/ip6/::1/tcp/8765'],
    ['[::1]:77', '[::1]:77', '/ip6/::1/tcp/77'],
    ['wss://example.org', 'wss://example.org', '/dns/example.org/tcp/443/wss'],
    ['wss://example.org:443/', 'wss://example.org', '/dns/example.org/tcp/443/wss'],
    ['ws://[::1]:77', 'ws://[::1]:77', '/ip6/::1/tcp/77/ws'],
  ])('%s', (text, shown, address) => {
    expect(serverText(parseServer(text))).toBe(shown)
    expect(serverAddress(parseServer(text))).toBe(address)
    expect(parseServer(shown)).toEqual(parseServer(text))
  })

  test.each(['', 'a b', 'http://x', 'wss://', 'wss://x/y', 'x/', 'x:0', 'x:65536', 'x:y', '[x]:1', 'x/y', '::1:x'])('not by %j', (text) => {
    expect(() => parseServer(text)).toThrow(/names no registry/)
  })

  test('or is the last one registered with, or localhost', () => {
    const known = knownRegistries(file())
    expect(serverText(known.choose(undefined))).toBe('localhost:8765')
    known.remember(parseServer('example.org'))
    expect(serverText(known.choose(undefined))).toBe('example.org:8765')
    expect(serverText(known.choose('other:1'))).toBe('other:1')
  })
})

test('a pinned key stays, and a file that cannot be read is no reason to trust anybody', () => {
  const path = file()
  const server = parseServer('example.org')
  knownRegistries(path).pin(server, 'first')
  knownRegistries(path).pin(server, 'second')
  expect(knownRegistries(path).keyOf(server)).toBe('first')
  for (const text of ['', '{', '[]', 'null', '{"keys":{"a":1}}', '{"keys":{},"last":7}']) {
    writeFileSync(path, text)
    expect(() => knownRegistries(path).keyOf(server)).toThrow(/cannot be understood/)
  }
})

test('addresses that cannot be written down are no reason not to talk to the peer', () => {
  const path = file()
  mkdirSync(path)
  knownAddresses(path).remember('peer', ['/ip4/192.0.2.7/tcp/1'])
  expect(knownAddresses(path).of('peer')).toEqual([])
  expect(readdirSync(folder).filter((name) => name.includes(basename(path)))).toEqual([basename(path)])
})

test('a peer is named by something that may mean one; an address to listen on has a port that there is', () => {
  const dial = (peer: string) => () => {
    const nobody = () => Promise.reject(new Error('asked'))
    const needs = {
      host: {} as PeerHost,
      clock: systemClock,
      known: knownAddresses(file()),
      statements: knownStatements(file()),
      registry: nobody,
    }
    peerDial(needs, { peer, addresses: [], protocol: '/x/1', searches: [] })
  }
  expect(dial('')).toThrow(expect.objectContaining({ code: 'reach.peer_text_invalid', kind: 'usage' }))
  expect(dial('x'.repeat(129))).toThrow(expect.objectContaining({ code: 'reach.peer_text_invalid' }))
  expect(dial('x'.repeat(128))).not.toThrow()
  for (const port of [-1, 65_536])
    expect(() => listenAddress('127.0.0.1', port)).toThrow(expect.objectContaining({ code: 'reach.port_invalid' }))
  expect(listenAddress('::1', 0)).toBe('/ip6/::1/tcp/0')
})

test('addresses are remembered, newest first and few; a damaged file is the same as none', () => {
  const path = file()
  const known = knownAddresses(path)
  known.remember('a', ['/1', '/2'])
  known.remember('a', ['/3'])
  expect(known.of('a')).toEqual(['/3', '/1', '/2'])
  for (let i = 0; i < 300; i++) known.remember(`peer-${i}`, ['/x'])
  expect(known.count()).toBe(256)
  expect(known.of('a')).toEqual([])
  const before = readFileSync(path, 'utf8')
  known.remember('peer-299', ['/x'])
  expect(readFileSync(path, 'utf8')).toBe(before)
  for (const text of ['nonsense', '[1]', '{"a":5}', 'null']) {
    writeFileSync(path, text)
    expect(known.of('a')).toEqual([])
  }
})

describe('who is authorized', () => {
  const [a, b] = [createIdentity().peerId, createIdentity().peerId]

  test('is who was named; a text that is no id is a fault at the start', () => {
    const peers = authorizedPeers({ clock: systemClock, log, statements: knownStatements(file()) }, { ids: [a] })
    expect([peers.allows(a), peers.allows(b)]).toEqual([true, false])
    expect(() => authorizedPeers({ clock: systemClock, log, statements: knownStatements(file()) }, { ids: ['Bob'] })).toThrow(/no peer id/)
    const path = file()
    writeFileSync(path, `${a}\nBob\n`)
    expect(() => authorizedPeers({ clock: systemClock, log, statements: knownStatements(file()) }, { ids: [], file: path })).toThrow(
      /"Bob" in/,
    )
  })

  test('follows the file: changed, wrong in one line, gone, back', async () => {
    const path = file()
    writeFileSync(path, `${a} # the first\n\n`)
    const peers = authorizedPeers({ clock: systemClock, log, statements: knownStatements(file()) }, { ids: [], file: path })
    let changes = 0
    peers.onChange(() => changes++)
    const states = async (): Promise<boolean[]> => [peers.allows(a), peers.allows(b)]
    expect(await states()).toEqual([true, false])
    writeFileSync(path, `${b}\nBob\n`)
    await expect.poll(states, { timeout: 1_000 }).toEqual([false, true])
    rmSync(path)
    await expect.poll(states, { timeout: 1_000 }).toEqual([false, false])
    writeFileSync(path, `${a}\r\n${b}\r\n`)
    await expect.poll(states, { timeout: 1_000 }).toEqual([true, true])
    expect(changes).toBeGreaterThanOrEqual(3)
    peers.close()
  })
})

test('loopback is told only when there is nothing else', () => {
  const [far, near, near6] = ['/ip4/192.0.2.7/tcp/1/p2p/x', '/ip4/127.0.0.1/tcp/1/p2p/x', '/ip6/::1/tcp/1/p2p/x'] as const
  expect(toldAddresses([far, near, near6])).toEqual([far])
  expect(toldAddresses([near, near6])).toEqual([near, near6])
  const many = Array.from({ length: 20 }, (_, n) => `/ip4/192.0.2.${n}/tcp/1/p2p/x`)
  const relayed = Array.from({ length: 6 }, (_, n) => `/ip4/192.0.2.7/tcp/1/p2p/r${n}/p2p-circuit/p2p/x`)
  expect(toldAddresses([...many, near, ...relayed])).toEqual([...many.slice(0, 12), ...relayed.slice(0, 4)]) // a card's fill, and the relays keep their part
})

test('one may ask in bursts, then at a rate; each key for itself', () => {
  let at = 0
  const limit = rateLimit({ ...systemClock, mono: () => at }, { burst: 2, perSecond: 4 })
  expect([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('b')]).toEqual([0, 0, 250, 0])
  at = 200
  expect(limit.take('a')).toBeGreaterThanOrEqual(50)
  at = 260
  expect(limit.take('a')).toBe(0)
  for (let i = 0; i < 10_001; i++) limit.take(`key-${i}`)
  expect(limit.take('a')).toBe(0) // forgotten
})
