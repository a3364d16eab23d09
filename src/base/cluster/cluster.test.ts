// The table [cluster]: what it refuses, and a server that takes in only who proves who they are, by nkey, over TLS.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeyAuthenticator, nkeys } from '@nats-io/transport-node'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeAuthority, makeCertificate } from '../../../test/kit/certificates.ts'
import { cleanUp, keep, later } from '../../../test/kit/cleanup.ts'
import { type NatsCluster, hasNats, startNats } from '../../../test/kit/nats.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { loadConfig } from '../config/config.ts'
import schema from './config.ts'
import { type ClusterConfig, sharedBy } from './open.ts'

afterAll(cleanUp)

const read = async (text: string): Promise<ClusterConfig> => (await loadConfig({ schema, path: 'cluster.toml', text })).value

test('the least: servers of this machine; all else has a default', async () => {
  expect(await read('nats = ["nats://127.0.0.1:4222"]')).toEqual({ nats: ['nats://127.0.0.1:4222'], name: 'fairlead', replicas: 3 })
})

test.each([
  ['', 'nats'],
  ['nats = []', 'nats'],
  ['nats = ["127.0.0.1:4222"]', 'must be nats://HOST:PORT'],
  ['nats = ["nats://127.0.0.1"]', 'must be nats://HOST:PORT'],
  ['nats = ["http://127.0.0.1:4222"]', 'must be nats://HOST:PORT'],
  ['nats = ["nats://me:pass@127.0.0.1:4222"]', 'may not hold a user name or password'],
  ['nats = ["nats://10.0.0.1:4222"]', 'add a table cluster.tls'],
  ['nats = ["nats://127.0.0.1:1"]\nnkey = "SUAM"', 'a credential may not stand in this file'],
  ['nats = ["nats://127.0.0.1:1"]\nreplicas = 2', 'replicas'],
  ['nats = ["nats://127.0.0.1:1"]\nname = "a b"', 'must be 1 to 32'],
  ['nats = ["nats://127.0.0.1:1"]\n[tls]\ncertificate = "x.pem"', 'needs both certificate and key'],
  ['nats = ["nats://127.0.0.1:1"]\nserver = 1', 'server'],
])('refused: %s', async (text, words) => {
  await expect(read(text)).rejects.toMatchObject({ code: 'config.invalid', message: expect.stringContaining(words) as string })
})

test('beyond this machine with TLS', async () => {
  expect(await read('nats = ["nats://10.0.0.1:4222"]\n[tls]')).toMatchObject({ tls: {} })
})

describe('a server that asks for proof', () => {
  let folder: string
  let nats: NatsCluster
  const settings =
    'replicas = 1\nnkey = { file = "seed" }\n[tls]\nca = "authority.pem"\ncertificate = "own.pem"\nkey = { file = "own.key" }\n'
  const secret = (name: string, content: string | Uint8Array): void => writeFileSync(join(folder, name), content, { mode: 0o600 })
  beforeAll(async () => {
    if (!hasNats) return
    folder = mkdtempSync(join(tmpdir(), 'cluster-'))
    later(() => rmSync(folder, { recursive: true }))
    const authority = makeAuthority(folder)
    makeAuthority(folder, 'stranger')
    for (const name of ['server', 'own']) {
      const { chain, key } = makeCertificate(authority, ['IP:127.0.0.1'])
      writeFileSync(join(folder, `${name}.pem`), chain)
      secret(`${name}.key`, key)
    }
    const [user, other] = [nkeys.createUser(), nkeys.createUser()]
    secret('seed', user.getSeed())
    secret('other', other.getSeed())
    const files = { certFile: join(folder, 'own.pem'), keyFile: join(folder, 'own.key'), caFile: join(folder, 'authority.pem') }
    const tls = { ...files, checkServerIdentity: () => undefined } // the library's own would have it be for localhost
    nats = await startNats({
      servers: 1,
      lines: `tls { cert_file: "${folder}/server.pem", key_file: "${folder}/server.key", ca_file: "${folder}/authority.pem", verify: true }
authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
      dial: { tls, authenticator: nkeyAuthenticator(user.getSeed()) },
    })
    keep()
  }, 60_000)
  beforeEach(({ skip }) => {
    if (!hasNats) skip('there is no nats-server here')
  })

  const open = async (text: string, host = '127.0.0.1') => {
    const cluster = await read(`nats = ["${nats.urls[0]!.replace('127.0.0.1', host)}"]\n${text}`)
    const kv = await sharedBy({ clock: systemClock, log: silentLog, env: {}, folder }, cluster)!({ part: 'gate' })
    later(() => kv.close())
    return kv
  }

  test('who has the key and the certificate is taken in', async () => {
    const bucket = (await open(settings)).bucket('proof')
    await bucket.create('a', Buffer.from('x'))
    expect(Buffer.from((await bucket.get('a'))!.value).toString()).toBe('x')
  })

  test.each([
    ['another key', settings.replace('"seed"', '"other"'), 'kv.unavailable'],
    ['no key', settings.replace('nkey = { file = "seed" }\n', ''), 'kv.unavailable'],
    ['a server of another authority', settings.replace('"authority.pem"', '"stranger.pem"'), 'kv.unavailable'],
    ['a server of another name', settings, 'kv.unavailable', 'localhost'],
    ['what is no seed', settings.replace('"seed"', '"own.key"'), 'cluster.bad_nkey'],
    ['a file that is not there', settings.replace('"authority.pem"', '"nowhere.pem"'), 'cluster.no_file'],
  ])('not taken in: %s', async (_, text, code, host?: string) => {
    await expect(open(text, host)).rejects.toMatchObject({ code, message: expect.not.stringMatching(/SU[A-Z2-7]{20}/) as string })
  })
})

test('a server without TLS is not spoken to where TLS is asked for', { timeout: 60_000 }, async ({ skip }) => {
  if (!hasNats) skip('there is no nats-server here')
  const { urls } = await startNats({ servers: 1 })
  const cluster = await read(`nats = ["${urls[0]}"]\n[tls]`)
  const opening = sharedBy({ clock: systemClock, log: silentLog, env: {}, folder: '' }, cluster)!({ part: 'gate' })
  await expect(opening).rejects.toMatchObject({ code: 'kv.unavailable' })
})
