// Proves against Debian's ssh-agent that a key which stays there signs as one of ours, and on made-up answers that none does more than a fault.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, type Server, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestAgent, startAgent } from '../../../test/kit/ssh-agent.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { createIdentity, publicKeyOf, verify } from './identity.ts'
import { openRecord, signRecord } from './record.ts'
import { agentIdentity, chooseKey, fingerprintOf, readKeys, readSignature, sshAgent } from './ssh-agent.ts'
import { createWallet, loadWallet, readWalletCard, resealWallet } from './wallet.ts'

const folder = mkdtempSync(join(tmpdir(), 'ssh-agent-'))
const servers: Server[] = []
let real: TestAgent
beforeAll(async () => {
  real = await startAgent(folder)
})
afterAll(async () => {
  for (const server of servers) server.close()
  await real.stop()
  rmSync(folder, { recursive: true })
})
const code = (name: string) => expect.objectContaining({ code: `ssh_agent.${name}` }) as Error

test('a key in the real ssh-agent is found by comment and fingerprint, signs, and opens a wallet that does not hold it', async () => {
  const agent = sshAgent(clock, real.socket)
  await expect(chooseKey(agent, '')).rejects.toThrow(code('choose'))
  real.add('other', 'rsa')
  const path = real.add('fairlead test')
  const key = await chooseKey(agent, '')
  expect(key.comment).toBe('fairlead test')
  const shown = execFileSync('ssh-keygen', ['-l', '-f', path], { encoding: 'utf8' })
  expect(shown).toContain(fingerprintOf(key.publicKey))
  const second = real.add('second')
  await expect(chooseKey(agent, '')).rejects.toThrow(code('choose'))
  for (const name of ['fairlead test', fingerprintOf(key.publicKey)])
    expect((await chooseKey(agent, name)).publicKey).toEqual(key.publicKey)
  await expect(chooseKey(agent, 'fairlead')).rejects.toThrow(code('choose'))

  const identity = await agentIdentity(agent, key.publicKey)
  expect(publicKeyOf(identity.peerId)).toEqual(key.publicKey)
  const record = await signRecord(identity, 'fairlead/test/1', { sequence: 1, expiresAt: 2 })
  expect(openRecord('fairlead/test/1', record, 0).signer).toBe(identity.peerId)
  expect(() => identity.privateKeyRaw).toThrow(code('key_stays'))
  expect(inspect(identity) + JSON.stringify({ identity })).toContain(identity.peerId)

  const wallet = join(folder, 'home', 'wallet.json')
  await createWallet(wallet, { name: 'Agent', identity, isInAgent: true })
  expect(readWalletCard(wallet)).toEqual({ name: 'Agent', peerId: identity.peerId, isSealed: false, isInAgent: true })
  const before = readFileSync(wallet, 'utf8')
  const loaded = await loadWallet(wallet, { agent })
  expect(verify(key.publicKey, Buffer.from('x'), await loaded.identity.sign(Buffer.from('x')))).toBe(true)
  await expect(resealWallet(wallet, loaded, before, undefined)).rejects.toThrow(code('key_stays'))
  await expect(loadWallet(wallet)).rejects.toThrow(code('not_set'))

  real.empty()
  real.addFile(second)
  await expect(loadWallet(wallet, { agent })).rejects.toThrow(code('no_key'))
  await expect(loaded.identity.sign(Buffer.from('x'))).rejects.toThrow(code('refused'))
})

test('no agent, a dead one, and one that lies are told apart', async () => {
  const { publicKey } = createIdentity()
  const blob = part('ssh-ed25519', publicKey)
  const answers: [string, Buffer | undefined, string][] = [
    ['ends without a word', undefined, 'silent'],
    ['announces too much', Buffer.from('7fffffff', 'hex'), 'garbled'],
    ['sends nothing in a frame', Buffer.alloc(4), 'garbled'],
    ['says something else', framed(Buffer.of(99)), 'garbled'],
    ['refuses', framed(Buffer.of(5)), 'refused'],
    ['signs with another key', framed(Buffer.concat([Buffer.of(14), part(part('ssh-ed25519', new Uint8Array(64)))])), 'bad_signature'],
    ['signs in another way', framed(Buffer.concat([Buffer.of(14), part(part('ssh-rsa', new Uint8Array(64)))])), 'garbled'],
    ['lists keys', framed(Buffer.concat([Buffer.of(12), Buffer.from('00000001', 'hex'), part(blob, Buffer.from('c'))])), 'garbled'],
  ]
  for (const [name, answer, expected] of answers)
    await expect(sshAgent(clock, await lying(answer)).sign(publicKey, Buffer.from('x')), name).rejects.toThrow(code(expected))
  await expect(sshAgent(clock, undefined).keys()).rejects.toThrow(code('not_set'))
  await expect(sshAgent(clock, join(folder, 'nowhere')).keys()).rejects.toThrow(code('silent'))
})

test('an agent that never answers is not waited for without end', async () => {
  let late: (() => void) | undefined
  const path = await lying(Buffer.alloc(3))
  const agent = sshAgent({ after: (_ms, act) => ((late = act), () => {}) }, path)
  const asked = agent.keys()
  asked.catch(() => {})
  await expect.poll(() => late).toBeDefined()
  late!()
  await expect(asked).rejects.toThrow(code('silent'))
})

test('any bytes are read as keys or a signature, or refused', () => {
  const { publicKey } = createIdentity()
  const keys = Buffer.concat([
    Buffer.of(12),
    Buffer.from('00000002', 'hex'),
    part(part('ssh-ed25519', publicKey), 'ü'),
    part(part('ssh-rsa', 'x'), 'y'),
  ])
  expect(readKeys(keys)).toEqual([{ publicKey, comment: 'ü' }])
  const signature = Buffer.concat([Buffer.of(14), part(part('ssh-ed25519', new Uint8Array(64).fill(1)))])
  expect(readSignature(signature)).toEqual(new Uint8Array(64).fill(1))
  const attempt = (read: (bytes: Buffer) => unknown, bytes: Uint8Array): void => {
    try {
      read(Buffer.from(bytes))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }
  for (const [read, good] of [
    [readKeys, keys],
    [readSignature, signature],
  ] as const) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => attempt(read, bytes)),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
        const changed = Buffer.from(good)
        changed[at] = byte
        attempt(read, changed)
        attempt(read, good.subarray(0, length))
      }),
      { numRuns: 1_000 },
    )
  }
})

/** Strings of RFC 4251, one after another. */
function part(...parts: (Uint8Array | string)[]): Buffer {
  return Buffer.concat(parts.map((bytes) => framed(Buffer.from(bytes as string))))
}

function framed(bytes: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(bytes.length)
  return Buffer.concat([head, bytes])
}

/** The path of a socket where each question gets this answer; without one the connection ends. */
async function lying(answer: Buffer | undefined): Promise<string> {
  const path = join(folder, `lying-${servers.length}`)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => (answer ? socket.write(answer) : socket.end()))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return server.address() as AddressInfo | string as string
}
