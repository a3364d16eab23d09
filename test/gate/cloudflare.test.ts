// Cloudflare Access before the gate: its assertion is a credential where it is configured, and nothing where it is not.
import { generateKeyPair } from 'jose'
import { beforeEach, describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { type Claims, type TestIssuer, startIssuer, unsigned } from '../kit/issuer.ts'
import { type RunningGate, gateFor, ledgerLines, modern, send, textOf } from './bed.ts'

const aud = 'f'.repeat(64)
const alice = 'a-token-of-alice'
const bob = 'a-token-of-bob'
const people = `[gate.principals.alice]\ntoken_sha256 = "${tokenHash(alice)}"\n[gate.principals.bob]\ntoken_sha256 = "${tokenHash(bob)}"\n[gate.principals.robot]\n[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\n`

let team: TestIssuer
beforeEach(async () => {
  team = await startIssuer('/cdn-cgi/access/certs')
})

function start(options: { isConfigured?: boolean; settings?: string; more?: string } = {}): Promise<RunningGate> {
  const { isConfigured = true, settings = '', more = '' } = options
  const access = isConfigured
    ? `[gate.cloudflare_access]\nteam = "${team.url}"\naudience = "${aud}"\nprincipals = { "alice@corp" = "alice" }\nservice_tokens = { "abc.access" = "robot" }\n`
    : ''
  return gateFor({ upstreams: { up: { command: fixtureCommand } }, access: people + access + more, settings })
}

const sign = (claims: Claims, options?: Parameters<TestIssuer['sign']>[1]): Promise<string> =>
  team.sign({ aud: [aud], type: 'app', ...claims }, options)

const ask = (gate: RunningGate, assertion: string | undefined, token?: string): ReturnType<typeof modern> =>
  modern(
    gate.url('up'),
    'tools/call',
    { name: 'echo', arguments: { text: 'in' } },
    {
      ...(token === undefined ? {} : { token }),
      headers: assertion === undefined ? {} : { 'cf-access-jwt-assertion': assertion },
    },
  )

describe('where it is configured', () => {
  test('a person by email, a service token by its common name, and the record says so', async () => {
    const gate = await start()
    expect(textOf(await ask(gate, await sign({ email: 'alice@corp', sub: 'u-1' })))).toBe('in')
    expect(textOf(await ask(gate, await sign({ common_name: 'abc.access', sub: '' })))).toBe('in')
    expect((await ask(gate, undefined)).status).toBe(401)
    expect((await ask(gate, undefined, bob)).status).toBe(200)
    const begun = ledgerLines(gate).filter(({ event }) => event === 'call.begin')
    expect(begun.map(({ principal, via }) => [principal, via])).toEqual([
      ['alice', 'cloudflare'],
      ['robot', 'cloudflare'],
      ['bob', 'token'],
    ])
  })

  test('any other assertion is refused, on every path, with or without a good token beside it', async () => {
    const gate = await start()
    const evil = await generateKeyPair('RS256', { extractable: true })
    const good = { email: 'alice@corp' }
    const bad: [string, string, number][] = [
      ['of somebody else', await sign({ email: 'eve@corp' }), 403],
      ['in other letters', await sign({ email: 'ALICE@corp' }), 403],
      ['of a person who calls himself a service', await sign({ email: 'alice@corp', common_name: 'abc.access' }), 403],
      ['of an unknown service', await sign({ common_name: 'abd.access' }), 403],
      ['for another application', await sign({ ...good, aud: ['0'.repeat(64)] }), 401],
      ['of another team', await sign({ ...good, iss: 'https://other.cloudflareaccess.com' }), 401],
      ['expired', await sign({ ...good, exp: 1 }), 401],
      ['by another key', await sign(good, { key: evil.privateKey }), 401],
      ['by nobody', unsigned({ ...good, aud: [aud], iss: team.url }), 401],
      ['that is none', 'nonsense', 401],
      ['that is empty', '', 401],
      ['twice', `${await sign(good)}, ${await sign(good)}`, 401],
    ]
    for (const [what, assertion, status] of bad) {
      expect([what, (await ask(gate, assertion)).status]).toEqual([what, status])
      expect([what, (await ask(gate, assertion, alice)).status]).toEqual([what, status])
      const health = await send(`http://127.0.0.1:${gate.port}/health`, undefined, {
        httpMethod: 'GET',
        headers: { 'cf-access-jwt-assertion': assertion },
      })
      expect([what, health.status]).toEqual([what, status])
    }
    const line = ledgerLines(gate).find(({ event }) => event === 'refused')
    expect(line).toMatchObject({ via: 'cloudflare', reason: 'the token is of somebody who is no principal here' })
  })

  test('two credentials of one principal are good, of two they are none, and a bad one spoils the other', async () => {
    const corp = await startIssuer()
    const gate = await start({
      more: `[gate.issuers.corp]\nissuer = "${corp.url}"\njwks_url = "${corp.jwksUrl}"\naudience = "gate"\nprincipals = { "1" = "alice", "2" = "bob" }\n`,
    })
    const assertion = await sign({ email: 'alice@corp' })
    const [one, two] = await Promise.all(['1', '2'].map((sub) => corp.sign({ sub, aud: 'gate' })))
    for (const [token, status] of [
      [alice, 200],
      [one!, 200],
      [bob, 401],
      [two!, 401],
      ['wrong', 401],
      [`${one}x`, 401],
    ] as const) {
      expect((await ask(gate, assertion, token)).status).toBe(status)
      expect((await ask(gate, assertion, token)).status).toBe(status) // and when both are remembered
    }
    expect((await ask(gate, assertion, bob)).body.error?.message).toBe('the credentials are of different principals')
  })
})

test('where it is not configured the header is nothing: good or bad, nobody comes in by it, and nobody is kept out', async () => {
  const gate = await start({ isConfigured: false })
  const assertion = await sign({ email: 'alice@corp' })
  expect((await ask(gate, assertion)).status).toBe(401)
  expect((await ask(gate, 'nonsense', bob)).status).toBe(200)
  expect(team.asked).toBe(0)
})
