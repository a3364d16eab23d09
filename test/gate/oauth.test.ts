// The official client meets the gate and a real authorization server that it has never heard of: challenge, metadata, registration, code, token, call.
import { Client, type OAuthClientProvider, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { startIssuer } from '../kit/issuer.ts'
import { main } from '../kit/program.ts'
import { gateFor, ledgerLines, modern, sdkText, textOf } from './bed.ts'
import { fixtureOn } from './far-ends.ts'

const scope = 'mcp:call'
const callback = 'http://127.0.0.1:9/callback'

/** Its address. Everybody is logged in there as `alice`. */
async function identityProvider(): Promise<string> {
  const program = fileURLToPath(new URL('../kit/identity-provider.mjs', import.meta.url))
  const child = spawn(process.execPath, [program, 'alice', scope], { stdio: ['ignore', 'pipe', 'ignore'] })
  later(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return line
}

/** A browser that follows redirects with its cookies, up to the client's own address. */
async function browse(from: URL): Promise<URL> {
  const cookies = new Map<string, string>()
  let at = from
  for (let hop = 0; hop < 10; hop++) {
    if (at.href.startsWith(callback)) return at
    const response = await fetch(at, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      cookies.set(name!, value!)
    }
    const next = response.headers.get('location')
    if (next === null) throw new Error(`${at.pathname}: ${response.status} ${await response.text()}`)
    at = new URL(next, at)
  }
  throw new Error('too many redirects')
}

type Person = OAuthClientProvider & { sentTo: URL | undefined; token(): string }

function person(): Person {
  const kept: Record<string, unknown> = {}
  const self: Person = {
    redirectUrl: callback,
    clientMetadata: {
      client_name: 'a test',
      redirect_uris: [callback],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    clientInformation: () => kept['client'] as never,
    saveClientInformation: (value) => void (kept['client'] = value),
    tokens: () => kept['tokens'] as never,
    saveTokens: (value) => void (kept['tokens'] = value),
    redirectToAuthorization: (url) => void (self.sentTo = url),
    saveCodeVerifier: (value) => void (kept['verifier'] = value),
    codeVerifier: () => kept['verifier'] as string,
    discoveryState: () => kept['discovery'] as never,
    saveDiscoveryState: (value) => void (kept['discovery'] = value),
    sentTo: undefined,
    token: () => (kept['tokens'] as { access_token: string }).access_token,
  }
  return self
}

describe.each(['legacy', 'modern'] as const)('the whole flow, %s client', (era) => {
  test('from the first 401 to a call; the token is for this upstream alone, and never travels on', async () => {
    const provider = await identityProvider()
    const far = await fixtureOn()
    const gate = await gateFor({
      upstreams: { up: { url: far.url }, other: { command: fixtureCommand } },
      settings: `scopes = ["${scope}"]\n`,
      access:
        `[gate.principals.alice]\n[gate.issuers.provider]\nissuer = "${provider}"\njwks_url = "${provider}/jwks"\nprincipals = { "alice" = "alice" }\n` +
        `[[gate.rules]]\nprincipals = ["alice"]\nupstreams = ["*"]\ntools = ["*"]\n`,
    })
    const who = person()
    const asked: string[] = []
    const connect = (): { client: Client; transport: StreamableHTTPClientTransport; done: Promise<void> } => {
      const client = new Client(
        { name: 'a test', version: '1' },
        { versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' } },
      )
      const transport = new StreamableHTTPClientTransport(new URL(gate.url('up')), {
        authProvider: who,
        fetch: (url, init) => {
          asked.push(new URL(url).pathname)
          return fetch(url, init)
        },
      })
      later(() => client.close().catch(() => {}))
      return { client, transport, done: client.connect(transport) }
    }
    const first = connect()
    await expect(first.done).rejects.toThrow(UnauthorizedError)
    expect(asked[0]).toBe('/mcp/up')
    expect(asked).toContain('/.well-known/oauth-protected-resource/mcp/up')
    expect(who.sentTo!.searchParams.get('resource')).toBe(gate.url('up'))
    expect(who.sentTo!.searchParams.get('scope')).toContain(scope)
    const back = await browse(who.sentTo!)
    await first.transport.finishAuth(back.searchParams)
    const { client, done } = connect()
    await done
    expect(await sdkText(client, 'echo', { text: 'let in' })).toBe('let in')
    const seen = await sdkText(client, 'seen')
    expect(seen).toContain('headers')
    for (const part of who.token().split('.')) expect(seen).not.toContain(part)
    expect(ledgerLines(gate).find(({ event }) => event === 'call.begin')).toMatchObject({ principal: 'alice', via: 'jwt' })
    const elsewhere = await modern(gate.url('other'), 'tools/call', { name: 'echo', arguments: { text: 'x' } }, { token: who.token() })
    expect([elsewhere.status, elsewhere.body.error?.message]).toEqual([401, 'the token is not accepted: it is for another resource'])
  }, 60_000)
})

test('jose is loaded by a gate that has issuers, and by no other', async () => {
  const chunks = readdirSync(dirname(main)).filter(
    (name) => name.endsWith('.js') && readFileSync(join(dirname(main), name), 'utf8').includes('ERR_JWKS_NO_MATCHING_KEY'),
  )
  const ofJose = chunks.filter((name) => name.startsWith('jose') || name.startsWith('webapi'))
  expect(ofJose, chunks.join(', ')).not.toEqual([])
  const issuer = await startIssuer()
  const loaded = async (access: string): Promise<boolean> => {
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-coverage-'))
    later(() => rmSync(folder, { recursive: true, force: true }))
    process.env['NODE_V8_COVERAGE'] = folder
    later(() => delete process.env['NODE_V8_COVERAGE'])
    const gate = await gateFor({
      upstreams: { up: { command: fixtureCommand } },
      access: `[gate.principals.alice]\ntoken_sha256 = "${'0'.repeat(64)}"\n${access}`,
    })
    const token = await issuer.sign({ sub: 'alice', aud: gate.url('up') })
    const answer = await modern(gate.url('up'), 'tools/call', { name: 'echo', arguments: { text: 'x' } }, { token })
    expect(answer.status).toBe(access === '' ? 401 : 403) // known, but no rule is for her
    expect(textOf(answer)).toBeUndefined()
    await gate.stop('SIGINT')
    const scripts = readdirSync(folder).flatMap(
      (name) => (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] }).result,
    )
    expect(scripts.some(({ url }) => url.endsWith('/dist/main.js'))).toBe(true)
    return scripts.some(({ url }) => ofJose.some((name) => url.endsWith(`/dist/${name}`)))
  }
  expect(
    await loaded(`[gate.issuers.corp]\nissuer = "${issuer.url}"\njwks_url = "${issuer.jwksUrl}"\nprincipals = { "alice" = "alice" }\n`),
  ).toBe(true)
  expect(await loaded('')).toBe(false)
}, 60_000)
