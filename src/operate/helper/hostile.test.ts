// What a server that was taken over, or a stranger at the socket, may send: each is refused, nothing is done, and the record, read from its file, tells of it.
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cleanUp, keep } from '../../../test/kit/cleanup.ts'
import { issueGrant } from '../../base/access/grant.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import { type TestHelper, testHelper } from './helper.fixture.ts'
import { deeds } from './lamps.fixture.ts'

const gate = createIdentity(new Uint8Array(32).fill(7))
const thief = createIdentity(new Uint8Array(32).fill(8))
let own: TestHelper
beforeAll(async () => {
  own = testHelper(
    `helper:\n  ledger: LEDGER\n  server_max_role: operator\n  grants: {issuers: ["${gate.peerId}"]}\n  allow: {pins: [kitchen]}\n`,
  )
  await own.start()
  keep()
})
afterAll(cleanUp)

const params = {
  arguments: { lamp: 'kitchen', isOn: true } as Record<string, unknown>,
  principal: { name: 'ann', via: 'token' },
  request: '1',
  source: '127.0.0.1',
}
const ask = (method: string, changes: object = {}, id: unknown = 1): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, ...changes } })
const withArguments = (changes: object): string => ask('lamp_set', { arguments: { ...params.arguments, ...changes } })
const lamp = (lampName: unknown): string => withArguments({ lamp: lampName })
const forged = (header: object, claims: object = {}): string => {
  const now = Math.floor(Date.now() / 1_000)
  const all = { iss: gate.peerId, sub: 'root', roles: ['admin'], via: 'jwt', aud: 'raspi-ops-agent', iat: now, exp: now + 60, ...claims }
  return `${[header, all].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.${'A'.repeat(86)}`
}
const granted = async (by: typeof gate, changes: Partial<Parameters<typeof issueGrant>[1]> = {}, clock = { now: () => Date.now() }) =>
  ask('lamp_blow', {
    grant: await issueGrant(
      { identity: by, clock },
      { subject: 'eve', roles: ['admin'], via: 'jwt', audience: 'raspi-ops-agent', ...changes },
    ),
  })

type Case = readonly [what: string, line: () => string | Buffer | Promise<string>]
const frames: readonly Case[] = [
  ['bytes that are not UTF-8', () => Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ['no JSON', () => 'GET / HTTP/1.1'],
  ['half an object', () => '{"jsonrpc":"2.0","id":1,"method":"lamp_set"'],
  ['two objects', () => `${ask('lamp_set')} ${ask('lamp_set')}`],
  ['a batch', () => `[${ask('lamp_set')}]`],
  ['a number', () => '42'],
  ['null', () => 'null'],
  ['a text', () => '"lamp_set"'],
  ['a comment', () => `/* */ ${ask('lamp_set')}`],
  ['a trailing comma', () => ask('lamp_set').replace(/}$/, ',}')],
  ['zero bytes', () => Buffer.alloc(16)],
  ['a byte order mark', () => `\uFEFF${ask('lamp_set')}`],
  ['a length before it, as the older helper had it', () => Buffer.concat([Buffer.from([0, 0, 0, 99]), Buffer.from(ask('lamp_set'))])],
  ['no version', () => ask('lamp_set').replace('"jsonrpc":"2.0",', '')],
  ['another version', () => ask('lamp_set').replace('2.0', '1.0')],
  ['the id null', () => ask('lamp_set', {}, null)],
  ['an object for an id', () => ask('lamp_set', {}, {})],
  ['a fraction for an id', () => ask('lamp_set', {}, 1.5)],
  ['an endless id', () => ask('lamp_set', {}, 'x'.repeat(1_000))],
  ['a method twice', () => ask('lamp_watch').replace('"id":1', '"id":1,"method":"lamp_set"')],
  ['a method in other letters', () => ask('lamp_watch').replace('"id":1', '"id":1,"Method":"lamp_set"')],
  ['an argument twice', () => ask('lamp_set').replace('"lamp":"kitchen"', '"lamp":"kitchen","lamp":"cellar"')],
  ['an argument twice, once in disguise', () => ask('lamp_set').replace('"lamp":"kitchen"', '"lamp":"kitchen","l\\u0061mp":"cellar"')],
  ['an argument that is a prototype', () => ask('lamp_set').replace('"isOn":true', '"isOn":true,"__proto__":{"x":1}')],
  ['who asks twice', () => ask('lamp_set').replace('"name":"ann"', '"name":"ann","name":"root"')],
  ['arguments twice', () => ask('lamp_set').replace('"request"', '"arguments":{},"request"')],
  ['params that are a list', () => '{"jsonrpc":"2.0","id":1,"method":"lamp_set","params":["kitchen",true]}'],
  ['a method that is a number', () => '{"jsonrpc":"2.0","id":1,"method":1}'],
  ['an object that is 100 deep', () => ask('lamp_set', { arguments: JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`) as object })],
  ['a list of 100,000', () => ask('lamp_set', { arguments: { lamp: Array.from({ length: 100_000 }, () => 1) } })],
  ['a megabyte', () => ask('lamp_set', { arguments: { lamp: 'x'.repeat(1 << 20) } })],
  ['a notification in place of a request', () => ask('lamp_set').replace('"id":1,', '')],
  ['an answer that nobody asked for', () => '{"jsonrpc":"2.0","id":1,"result":{"output":{}}}'],
  ['an error that nobody asked for', () => '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}'],
]
const requests: readonly Case[] = [
  ['no params', () => '{"jsonrpc":"2.0","id":1,"method":"lamp_set"}'],
  ['a tool that does not exist', () => ask('lamp_explode')],
  ['a tool that is no matter of the helper', () => ask('system_get_basic_info')],
  ['a member of every object', () => ask('constructor')],
  ['a prototype', () => ask('__proto__')],
  ['the name of the protocol', () => ask('tools/call', { name: 'lamp_set' })],
  ['a name in other letters', () => ask('LAMP_SET')],
  ['a name with a zero byte', () => ask('lamp_set\0')],
  ['a shell', () => ask('lamp_set; reboot')],
  ['a path', () => ask('../tools/lamp_set')],
  ['an admin tool', () => ask('lamp_blow')],
  ['a role that it gives itself', () => ask('lamp_blow', { role: 'admin' })],
  ['roles that it gives itself', () => ask('lamp_blow', { roles: ['admin'] })],
  ['a role in who asks', () => ask('lamp_blow', { principal: { name: 'root', via: 'socket', role: 'admin' } })],
  ['a sandbox mode that it gives itself', () => ask('lamp_set', { sandbox_mode: 'disabled' })],
  ['a configuration of its own', () => ask('lamp_set', { config: '/tmp/config.yml' })],
  ['a grant of a stranger', () => granted(thief)],
  ['a grant for another daemon', () => granted(gate, { audience: 'gate' })],
  ['a grant of yesterday', () => granted(gate, {}, { now: () => Date.now() - 86_400_000 })],
  ['a grant of tomorrow', () => granted(gate, {}, { now: () => Date.now() + 86_400_000 })],
  ['a grant with a role that is none', () => granted(gate, { roles: ['root', 'Admin', 'admin ', ''] })],
  ['a grant of too little', () => granted(gate, { roles: ['viewer', 'operator'] })],
  ['a grant without a signature', () => ask('lamp_blow', { grant: forged({ alg: 'none' }) })],
  ['a grant with a shared secret', () => ask('lamp_blow', { grant: forged({ alg: 'HS256' }) })],
  ['a grant that nobody signed', () => ask('lamp_blow', { grant: forged({ alg: 'EdDSA' }) })],
  [
    'a grant that brings its key along',
    () => ask('lamp_blow', { grant: forged({ alg: 'EdDSA', jwk: { kty: 'OKP' } }, { iss: thief.peerId }) }),
  ],
  ['a grant that is a word', () => ask('lamp_blow', { grant: 'admin' })],
  ['a grant that is an object', () => ask('lamp_blow', { grant: { roles: ['admin'] } })],
  ['a grant that is endless', () => ask('lamp_blow', { grant: 'a.'.repeat(10_000) })],
  ['an empty grant', () => ask('lamp_set', { grant: '' })],
  ['nobody who asks', () => ask('lamp_set', { principal: undefined })],
  ['who asks without a name', () => ask('lamp_set', { principal: { name: '', via: 'token' } })],
  ['a name as long as a book', () => ask('lamp_set', { principal: { name: 'x'.repeat(10_000), via: 'token' } })],
  ['no source', () => ask('lamp_set', { source: undefined })],
  ['a lamp that is not on the list', () => lamp('cellar')],
  ['a lamp in other letters', () => lamp('Kitchen')],
  ['every lamp', () => lamp('*')],
  ['a lamp with a line feed', () => lamp('kitchen\n')],
  ['a lamp with a zero byte', () => lamp('kitchen\0')],
  ['a lamp that looks like an option', () => lamp('--all')],
  ['a lamp that is a path', () => lamp('kitchen/../cellar')],
  ['a lamp that looks like it', () => lamp('kitсhen')], // с is Cyrillic
  ['no lamp', () => lamp(undefined)],
  ['a lamp that is a list', () => lamp(['kitchen'])],
  ['a lamp that is an object', () => lamp({ toString: 'kitchen' })],
  ['a lamp as long as a book', () => lamp('x'.repeat(10_000))],
  ['an argument more', () => withArguments({ force: true })],
  ['a word for yes', () => withArguments({ isOn: 'true' })],
  ['arguments that are a text', () => ask('lamp_set', { arguments: '{"lamp":"kitchen","isOn":true}' })],
  ['arguments that are a list', () => ask('lamp_set', { arguments: ['kitchen', true] })],
]

/** The first answer, undefined when the helper hung up or answers only what comes after. */
function answerTo(line: string | Buffer): Promise<{ error?: { message: string } } | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(own.socket)
    let said = ''
    socket.on('error', reject)
    socket.on('close', () => resolve(undefined))
    socket.on('data', (data) => {
      said += String(data)
      if (!said.includes('\n')) return
      const answer = JSON.parse(said.split('\n')[0]!) as { id: unknown; error?: { message: string } }
      resolve(answer.id === 'after' ? undefined : answer)
      socket.destroy()
    })
    socket.write(Buffer.concat([Buffer.from(line), Buffer.from('\n{"jsonrpc":"2.0","id":"after","method":"ping"}\n')]))
  })
}

describe('is refused and recorded', () => {
  test.each(frames)('a message: %s', async (_, make) => {
    const before = own.recorded().length
    const answer = await answerTo(await make())
    if (answer) expect(answer.error).toBeDefined()
    await expect.poll(() => own.recorded().length).toBe(before + 1)
    expect(own.recorded().at(-1)).toMatchObject({ event: 'refused', reason: expect.stringMatching(/./) as string })
    expect(deeds).toEqual([])
  })
  test.each(requests)('a request: %s', async (_, make) => {
    const before = own.recorded().length
    const line = await make()
    const answer = await new Promise<{ error?: unknown }>((resolve, reject) => {
      const socket = connect(own.socket, () => socket.write(`${String(line)}\n`))
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('hung up')))
      socket.once('data', (data) => {
        resolve(JSON.parse(String(data).split('\n')[0]!) as { error?: unknown })
        socket.removeAllListeners('close').destroy()
      })
    })
    expect(answer.error).toBeDefined()
    const added = own.recorded().slice(before)
    expect(added).toMatchObject([{ event: 'permission_denied', code: expect.stringMatching(/./) as string }])
    expect(deeds).toEqual([])
  })
  test('there are many of them', () => {
    expect(frames.length + requests.length).toBeGreaterThan(80)
  })
})

describe('the helper goes on', () => {
  test('whoever sends nothing but nonsense is cut off', async () => {
    const before = own.recorded().length
    const cut = new Promise<void>((resolve) => {
      const socket = connect(own.socket)
      socket.on('error', () => {})
      socket.on('close', () => resolve())
      socket.resume()
      socket.write('nonsense\n'.repeat(10_000))
    })
    await cut
    expect(own.recorded().length - before).toBeLessThanOrEqual(64)
  })
  test('more connections than there may be are closed, and room comes back', async () => {
    const sockets = Array.from({ length: 40 }, () => connect(own.socket).on('error', () => {}))
    await expect.poll(() => sockets.filter((socket) => socket.destroyed).length).toBeGreaterThanOrEqual(24)
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => answerTo('42').catch(() => undefined)).toBeDefined()
  })
  test('one that sends half a message and waits is in nobody else’s way', async () => {
    const slow = connect(own.socket, () => slow.write('{"jsonrpc":"2.0",'))
    expect(await answerTo('42')).toMatchObject({ error: {} })
    slow.destroy()
  })
  test('the same id at work twice is refused, the first one is answered', async () => {
    const waiting = ask('lamp_watch', { arguments: { wait: true } })
    const answers = await new Promise<string[]>((resolve) => {
      const socket = connect(own.socket, () =>
        socket.write(`${waiting}\n${waiting}\n{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n`),
      )
      let said = ''
      socket.on('data', (data) => {
        said += String(data)
        const lines = said.trim().split('\n')
        if (lines.length < 2) return
        resolve(lines)
        socket.destroy()
      })
    })
    expect(answers[0]).toContain('an id that is in use')
    expect(answers[1]).toContain('cancelled by its caller')
  })
  test('what is allowed is still done', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(own.socket, () => socket.write(`${ask('lamp_set')}\n`))
      socket.on('data', (data) => {
        if (!String(data).includes('"output"')) return
        resolve(String(data))
        socket.destroy()
      })
    })
    expect(answer).toContain('"output":{"lamp":"kitchen","isOn":true}')
    expect(deeds[0]).toBe('kitchen true ann disabled')
  })
})
