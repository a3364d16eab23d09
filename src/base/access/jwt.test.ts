// Signed tokens against keys that come late, grow old, change or never come; time is the test's.
import { generateKeyPair, exportJWK } from 'jose'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../kernel/log.ts'
import { createHttpClient } from '../http/client.ts'
import { later } from '../../../test/kit/cleanup.ts'
import { type TestClock, createTestClock } from '../../../test/kit/clock.ts'
import { type TestIssuer, startIssuer, unsigned } from '../../../test/kit/issuer.ts'
import { JwtVerifier, type Unproved, looksLikeJwt } from './jwt.ts'
import { KeySet, type KeySource, keysAt, keysIn } from './key-set.ts'
import { tokenHash } from './principal.ts'

let clock: TestClock
let issuer: TestIssuer
beforeEach(async () => {
  clock = createTestClock(Date.now())
  issuer = await startIssuer()
})

function keysOf(source?: KeySource): KeySet {
  const client = createHttpClient()
  later(() => client.close())
  return new KeySet({ clock, log: silentLog, source: source ?? keysAt(client, new URL(issuer.jwksUrl)) }, 'the test')
}

function verifierWith(keys: KeySet): JwtVerifier<string> {
  return new JwtVerifier({ clock }, [{ issuer: issuer.url, algorithms: ['RS256'], keys, accept: ({ sub }) => sub ?? '' }])
}

const check = async (verifier: JwtVerifier<string>, token: string): Promise<string> => {
  const result = await verifier.verify(token, tokenHash(token))
  return 'accepted' in result ? result.accepted : result.problem
}

const seconds = (fromNow: number): number => Math.floor(clock.now() / 1_000) + fromNow
const good = { sub: 'ann', aud: 'here' }

describe('what a token must be', () => {
  test('signed by its issuer, for a time that is now', async () => {
    const verifier = verifierWith(keysOf())
    const other = await generateKeyPair('RS256')
    const hmac = new TextEncoder().encode(JSON.stringify(issuer.keys[0]))
    const said = async (claims: object, options = {}): Promise<string> =>
      check(verifier, await issuer.sign({ ...good, ...claims }, options))
    expect(await said({})).toBe('ann')
    expect(await said({ exp: seconds(-30) })).toBe('ann')
    expect(await said({ nbf: seconds(30) })).toBe('ann')
    expect(await said({ exp: seconds(-61) })).toBe('it has expired')
    expect(await said({ nbf: seconds(90) })).toBe('it is not valid yet')
    expect(await said({ exp: undefined })).toBe('it has no exp')
    expect(await said({ aud: undefined })).toBe('it has no aud')
    expect(await said({ iss: 'https://evil.example' })).toBe('it is of an issuer that is not known here')
    expect(await said({ iss: `${issuer.url}/` })).toBe('it is of an issuer that is not known here')
    expect(await said({ iss: undefined })).toBe('it is of an issuer that is not known here')
    expect(await said({}, { key: other.privateKey })).toBe('its signature is wrong')
    expect(await said({}, { alg: 'RS384', key: (await generateKeyPair('RS384')).privateKey })).toBe(
      'it is signed with an algorithm that its issuer may not use here',
    )
    expect(await said({}, { alg: 'HS256', key: hmac })).toBe('it is signed with an algorithm that its issuer may not use here')
    expect(await check(verifier, unsigned({ ...good, iss: issuer.url }))).toMatch(/algorithm|malformed/)
  })

  test('not made to be checked with what it brings along or points to', async () => {
    const verifier = verifierWith(keysOf())
    const evil = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(evil.publicKey)), kid: 'evil' }
    for (const kid of ['../../../../dev/null', "' OR 1=1 --", '__proto__', 'constructor', '', '\0', 'k1\u0000', 'x'.repeat(5_000)])
      expect(await check(verifier, await issuer.sign(good, { kid, key: evil.privateKey }))).toMatch(
        /key that its issuer does not have|malformed/,
      )
    for (const header of [{ jwk }, { jku: `${issuer.url}/evil` }, { x5u: `${issuer.url}/evil` }, { jwk, jku: issuer.jwksUrl }])
      expect(await check(verifier, await issuer.sign(good, { header, key: evil.privateKey }))).toBe('its signature is wrong')
  })

  test('three parts, whatever is in them', async () => {
    const verifier = verifierWith(keysOf())
    expect(['a.b.c', 'a.b.', 'a.b', 'a', 'a.b.c.d', 'a.b.c.d.e', '', '..', 'a b.c.d'].map(looksLikeJwt)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
      false,
      false,
      false,
    ])
    const token = await issuer.sign(good)
    for (const broken of [
      token.slice(0, -4),
      `${token}AAAA`,
      token.replace('.', '.A'),
      'a.b.c',
      `${token.split('.').slice(0, 2).join('.')}.`,
    ])
      expect(await check(verifier, broken)).toMatch(/malformed|signature|not known|algorithm/)
    expect(issuer.asked).toBeLessThanOrEqual(1)
  })
})

describe('what is remembered', () => {
  const recalled = async (verifier: JwtVerifier<string>, token: string): Promise<string | undefined> => {
    await check(verifier, token)
    return verifier.recall(tokenHash(token))
  }

  test('a proof, for 30 s, by the hash of the whole token', async () => {
    const verifier = verifierWith(keysOf())
    const token = await issuer.sign(good)
    expect(verifier.recall(tokenHash(token))).toBeUndefined()
    expect(await recalled(verifier, token)).toBe('ann')
    expect(verifier.recall(tokenHash(`${token}A`))).toBeUndefined()
    await clock.advance(29_999)
    expect(verifier.recall(tokenHash(token))).toBe('ann')
    await clock.advance(1)
    expect(verifier.recall(tokenHash(token))).toBeUndefined()
  })

  test('never past the end of the token, and nothing of a bad one', async () => {
    const verifier = verifierWith(keysOf())
    const short = await issuer.sign({ ...good, exp: seconds(10) })
    expect(await recalled(verifier, short)).toBe('ann')
    await clock.advance(10_000)
    expect(verifier.recall(tokenHash(short))).toBeUndefined()
    expect(await recalled(verifier, await issuer.sign({ ...good, exp: seconds(-5) }))).toBeUndefined()
    expect(await recalled(verifier, unsigned({ ...good, iss: issuer.url }))).toBeUndefined()
  })

  test('nothing, as soon as the issuer has other keys', async () => {
    const verifier = verifierWith(keysOf())
    const old = await issuer.sign(good)
    expect(await recalled(verifier, old)).toBe('ann')
    await issuer.rotate()
    expect(verifier.recall(tokenHash(old))).toBe('ann')
    expect(await check(verifier, await issuer.sign(good))).toBe('ann')
    expect(verifier.recall(tokenHash(old))).toBeUndefined()
    expect(await check(verifier, old)).toBe('it is signed with a key that its issuer does not have')
  })

  test('ten thousand proofs at most', async () => {
    const keys = keysOf()
    const verifier = verifierWith(keys)
    const token = await issuer.sign(good)
    for (let count = 0; count <= 10_000; count++) await verifier.verify(token, `hash ${count}`)
    expect(verifier.recall('hash 0')).toBeUndefined()
    expect(verifier.recall('hash 1')).toBe('ann')
    expect(verifier.recall('hash 10000')).toBe('ann')
  }, 60_000)
})

describe('the keys', () => {
  test('are asked for once, however many wait, and once more for a key that is not among them', async () => {
    const verifier = verifierWith(keysOf())
    const token = await issuer.sign(good)
    expect(await Promise.all(Array.from({ length: 50 }, () => check(verifier, token)))).toEqual(Array.from({ length: 50 }, () => 'ann'))
    expect(issuer.asked).toBe(1)
    const unknown = await issuer.sign(good, { kid: 'other' })
    expect(await check(verifier, unknown)).toMatch(/does not have/)
    expect(issuer.asked).toBe(2)
  })

  test('are asked for five times at once and then every 5 s, however many tokens name unknown ones; a new key is found in between', async () => {
    const verifier = verifierWith(keysOf())
    for (let count = 0; count < 100; count++) await check(verifier, await issuer.sign(good, { kid: `unknown ${count}` }))
    expect(issuer.asked).toBe(5)
    await issuer.rotate()
    const token = await issuer.sign(good)
    expect(await check(verifier, token)).toMatch(/does not have/)
    await clock.advance(5_000)
    expect(await check(verifier, token)).toBe('ann')
    expect(issuer.asked).toBe(6)
  })

  test('are looked at again after five minutes, without anybody waiting for it', async () => {
    const verifier = verifierWith(keysOf())
    const token = await issuer.sign({ ...good, exp: seconds(100_000) })
    await check(verifier, token)
    await clock.advance(5 * 60_000)
    issuer.instead = () => {} // never answers
    expect(await check(verifier, token)).toBe('ann')
    await expect.poll(() => issuer.asked).toBe(2)
  })

  test('that cannot be had again are good for an hour, and then nobody is let in', async () => {
    const verifier = verifierWith(keysOf())
    const token = await issuer.sign({ ...good, exp: seconds(100_000) })
    await check(verifier, token)
    await issuer.down()
    await clock.advance(59 * 60_000)
    expect(await check(verifier, token)).toBe('ann')
    await clock.advance(60_000)
    expect(await verifier.verify(token, '')).toMatchObject({ isOurs: true, problem: expect.stringContaining('ECONNREFUSED') as string })
    await issuer.up()
    await clock.advance(5_000)
    expect(await check(verifier, token)).toBe('ann')
  })

  test.each<[string, (issuer: TestIssuer) => void, RegExp]>([
    ['an answer without end', (it) => (it.instead = (response) => void response.writeHead(200).write('{')), /no answer within 5 s/],
    ['no answer', (it) => (it.instead = () => {}), /no answer within 5 s/],
    ['more than 256 KiB', (it) => (it.instead = (response) => void response.end('x'.repeat(300_000))), /more than 262144 bytes/],
    [
      'more than 100 keys',
      (it) => (it.instead = (response) => void response.end(JSON.stringify({ keys: Array(101).fill(it.keys[0]) }))),
      /more than 100 keys/,
    ],
    ['no JSON', (it) => (it.instead = (response) => void response.end('<html>')), /no JSON/],
    ['JSON of another kind', (it) => (it.instead = (response) => void response.end('{"keys":1}')), /no JSON Web Key Set/],
    ['a redirect', (it) => (it.instead = (response) => void response.writeHead(302, { location: it.jwksUrl }).end()), /the answer is 302/],
    ['an error', (it) => (it.instead = (response) => void response.writeHead(500).end('{"keys":[]}')), /the answer is 500/],
  ])('%s is no set of keys: nobody is let in, and nobody waits for more than 5 s', async (_what, bend, words) => {
    const verifier = verifierWith(keysOf())
    bend(issuer)
    const asked = verifier.verify(await issuer.sign(good), '')
    await expect.poll(() => issuer.asked).toBe(1)
    await clock.advance(5_000)
    const { isOurs, problem } = (await asked) as Unproved
    expect(isOurs).toBe(true)
    expect(problem).toMatch(words)
    issuer.instead = undefined
    expect(await check(verifier, await issuer.sign(good))).toBe('ann')
  })

  test('that do not come hold up 256 callers at most', async () => {
    const verifier = verifierWith(keysOf())
    issuer.instead = () => {}
    const token = await issuer.sign(good)
    const all = Array.from({ length: 300 }, () => verifier.verify(token, ''))
    const early = await Promise.all(all.slice(256))
    for (const one of early) expect(one).toMatchObject({ isOurs: true, problem: expect.stringContaining('too many callers') as string })
    await expect.poll(() => issuer.asked).toBe(1)
    await clock.advance(5_000)
    for (const one of await Promise.all(all.slice(0, 256)))
      expect(one).toMatchObject({ problem: expect.stringContaining('no answer') as string })
  })

  test('are never shared secrets', async () => {
    const secret = new TextEncoder().encode('x'.repeat(32))
    const verifier = new JwtVerifier({ clock }, [
      {
        issuer: issuer.url,
        algorithms: ['RS256'],
        keys: keysOf(() =>
          Promise.resolve(JSON.stringify({ keys: [{ kty: 'oct', kid: 'k1', k: Buffer.from(secret).toString('base64url') }] })),
        ),
        accept: () => 'in',
      },
    ])
    expect(await check(verifier, await issuer.sign(good, { alg: 'HS256', key: secret }))).toMatch(/algorithm/)
    expect(await check(verifier, await issuer.sign(good))).toMatch(/does not have/)
  })

  test('may be in a file, which is read again for a key that is not in it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-keys-'))
    later(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'keys.json')
    const verifier = verifierWith(keysOf(keysIn(path)))
    expect(await check(verifier, await issuer.sign(good))).toContain(`there is no file ${path}`)
    writeFileSync(path, JSON.stringify({ keys: issuer.keys }))
    expect(await check(verifier, await issuer.sign(good))).toBe('ann')
    await issuer.rotate()
    writeFileSync(path, JSON.stringify({ keys: issuer.keys }))
    expect(await check(verifier, await issuer.sign(good))).toBe('ann')
    writeFileSync(path, 'x'.repeat(300_000))
    await clock.advance(3_600_000)
    expect(await check(verifier, await issuer.sign({ ...good, exp: seconds(600) }))).toContain('more than 262144 bytes')
  })
})
