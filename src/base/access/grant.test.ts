// A grant is believed when its issuer is known, its signature is right, and it is fresh and for us; in no other case.
import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createIdentity } from '../identity/identity.ts'
import { GrantVerifier, issueGrant } from './grant.ts'

const gate = createIdentity(new Uint8Array(32).fill(1))
const stranger = createIdentity(new Uint8Array(32).fill(2))
let nowMs = 1_800_000_000_000
const clock = { now: () => nowMs }
const verifierOf = (): GrantVerifier => new GrantVerifier({ clock }, { issuers: [gate.peerId], audience: 'raspi-ops-agent' })
const ann = { subject: 'ann@example.org', roles: ['operator'], via: 'jwt', audience: 'raspi-ops-agent' }

/** A token with exactly these claims, signed rightly. */
async function signed(claims: object, header: object = { alg: 'EdDSA' }, by = gate): Promise<string> {
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${Buffer.from(await by.sign(Buffer.from(text))).toString('base64url')}`
}
const iat = nowMs / 1_000
const claims = { iss: gate.peerId, sub: 'ann', roles: ['viewer'], via: 'jwt', aud: 'raspi-ops-agent', iat, exp: iat + 60 }

test('says who, by whom, which roles, and ends within a minute', async () => {
  const token = await issueGrant({ identity: gate, clock }, { ...ann, ttlMs: 3_600_000 })
  const verifier = verifierOf()
  const grant = { issuer: gate.peerId, subject: 'ann@example.org', roles: ['operator'], via: 'jwt', untilMs: nowMs + 60_000 }
  expect(verifier.verify(token)).toEqual(grant)
  expect(verifier.verify(token)).toEqual(grant)
  nowMs += 60_000
  expect(() => verifier.verify(token)).toThrow(/it has expired/)
  expect(() => verifierOf().verify(token)).toThrow(/it has expired/)
  nowMs -= 60_000
})

describe('is refused', () => {
  const hmac = { alg: 'HS256' }
  test.each<[string, () => Promise<string>, RegExp]>([
    ['of a stranger', () => issueGrant({ identity: stranger, clock }, ann), /not known here/],
    ['in the name of the issuer', () => signed(claims, { alg: 'EdDSA' }, stranger), /signature is not of its issuer/],
    ['for another daemon', () => signed({ ...claims, aud: 'gate' }), /another daemon/],
    ['for several daemons', () => signed({ ...claims, aud: ['raspi-ops-agent', 'gate'] }), /another daemon/],
    ['that lasts longer', () => signed({ ...claims, exp: iat + 61 }), /longer than 60 s/],
    ['of a time to come', () => signed({ ...claims, iat: iat + 6, exp: iat + 65 }), /a time to come/],
    ['without an end', () => signed({ ...claims, exp: undefined }), /how long/],
    ['without a subject', () => signed({ ...claims, sub: '' }), /who it is for/],
    ['without roles', () => signed({ ...claims, roles: 'admin' }), /which roles/],
    ['with another algorithm', () => signed(claims, hmac), /not signed with EdDSA/],
    ['without a signature', async () => `${(await signed(claims, { alg: 'none' })).split('.').slice(0, 2).join('.')}.AA`, /EdDSA/],
    ['with what we may not ignore', () => signed(claims, { alg: 'EdDSA', crit: ['b64'], b64: false }), /EdDSA/],
    ['that is no token', async () => 'admin', /not a signed token/],
    ['that is no JSON', async () => 'YQ.YQ.YQ', /not a signed token/],
    ['that is null', async () => 'bnVsbA.bnVsbA.YQ', /not a signed token/],
    ['that is huge', async () => 'a'.repeat(5_000), /too long/],
  ])('one %s', async (_, make, why) => {
    const token = await make()
    expect(() => verifierOf().verify(token)).toThrow(why)
  })
  test('one with any byte changed', async () => {
    const token = await issueGrant({ identity: gate, clock }, ann)
    const bytes = (text: string): Buffer => Buffer.from(text, 'base64url')
    for (let at = 0; at < token.length; at++) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
      if (at === token.length - 1 && bytes(changed.split('.')[2]!).equals(bytes(token.split('.')[2]!))) continue // it has bits to spare
      expect(() => verifierOf().verify(changed)).toThrow(/not believed/)
    }
  })
  test('one whose key is no peer id of ours, though its signature is right', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const text = [{ alg: 'EdDSA', jwk: {} }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const token = `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
    expect(() => verifierOf().verify(token)).toThrow(/signature/)
  })
})
