// Who sends a request: the answer comes at once when nothing has to be checked anew, since every call of a client waits for it.
import type { IncomingMessage } from 'node:http'
import { beforeEach, expect, test } from 'vitest'
import { later } from '../../test/kit/cleanup.ts'
import { type TestClock, createTestClock } from '../../test/kit/clock.ts'
import { type TestIssuer, startIssuer } from '../../test/kit/issuer.ts'
import { KeySet, keysAt } from '../base/access/key-set.ts'
import { createDirectory, tokenHash } from '../base/access/principal.ts'
import { createHttpClient } from '../base/http/client.ts'
import { silentLog } from '../kernel/log.ts'
import { type Identify, createIdentify } from './identify.ts'
import { cloudflareVerifier, issuersVerifier } from './issuers.ts'
import { ProtectedResource } from './protected-resource.ts'

let clock: TestClock
let issuer: TestIssuer
let identify: Identify
beforeEach(async () => {
  clock = createTestClock(Date.now())
  issuer = await startIssuer()
  const client = createHttpClient()
  later(() => client.close())
  const keys = new KeySet({ clock, log: silentLog, source: keysAt(client, new URL(issuer.jwksUrl)) }, 'the test')
  const principals = new Map([['1', 'ann']])
  identify = createIdentify(
    {
      directory: createDirectory([{ name: 'ann', tokenHashes: [tokenHash('static')], peers: [] }]),
      resource: new ProtectedResource({ publicUrl: () => 'https://gate.example', issuers: [issuer.url], scopes: [] }),
      issuers: issuersVerifier({ clock }, [
        { name: 'it', issuer: issuer.url, audience: 'gate', algorithms: ['RS256'], keys, claim: 'sub', principals },
      ]),
      cloudflare: cloudflareVerifier(
        { clock },
        { team: issuer.url, audience: 'gate', keys, principals: new Map([['a@b', 'ann']]), serviceTokens: new Map() },
      ),
    },
    undefined,
  )
})

const asked = (headers: Record<string, string>): ReturnType<Identify> => identify({ url: '/mcp/up', headers } as unknown as IncomingMessage)

test('a known token is no promise: a static one never, a signed one not for 30 s after it was checked', async () => {
  expect(asked({ authorization: 'Bearer static' })).toEqual({ name: 'ann', via: 'token' })
  expect(asked({})).toMatchObject({ status: 401 })
  expect(asked({ authorization: 'Bearer nobodys' })).toMatchObject({ status: 401, via: 'token' })
  const authorization = `Bearer ${await issuer.sign({ sub: '1', aud: 'gate' })}`
  const first = asked({ authorization })
  expect(first).toBeInstanceOf(Promise)
  expect(await first).toMatchObject({ name: 'ann', via: 'jwt' })
  expect(asked({ authorization })).toMatchObject({ name: 'ann', via: 'jwt' })
  const assertion = await issuer.sign({ email: 'a@b', aud: 'gate' })
  const both = { authorization, 'cf-access-jwt-assertion': assertion }
  expect(await asked(both)).toMatchObject({ name: 'ann', via: 'jwt' })
  expect(asked(both)).toMatchObject({ name: 'ann', via: 'jwt' })
  await clock.advance(30_000)
  expect(asked({ authorization })).toBeInstanceOf(Promise)
})
