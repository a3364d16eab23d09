// The same operations from another machine: a pinned authority, certificates that change under open streams, refusals that come through, nothing said to strangers.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { connect } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, afterAll, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { type Authority, makeAuthority, makeCertificate } from '../../../test/kit/certificates.ts'
import { later } from '../../../test/kit/cleanup.ts'
import { createTestClock } from '../../../test/kit/clock.ts'
import { systemClock } from '../../kernel/clock.ts'
import { faults } from '../../kernel/fault.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { Secret } from '../../kernel/secret.ts'
import type { Admit } from './answering.ts'
import { type Api, type Handlers, beatMs } from './api.ts'
import { controlClient } from './client.ts'
import { httpsAddress, httpsWay, shownAuthority } from './https-way.ts'
import { type HttpsControl, openHttpsControl } from './https.ts'

const nothing = z.strictObject({})
const api = {
  who: { privilege: 'observe', summary: 'who asks', input: nothing, output: z.strictObject({ name: z.string() }) },
  follow: { privilege: 'observe', summary: 'until it is enough', input: nothing, stream: z.string(), output: nothing },
  put: { privilege: 'change', summary: 'bytes', input: nothing, upload: true, output: nothing },
} as const satisfies Api
const fault = faults('door', {
  closed: () => ({ kind: 'unauthenticated', message: 'not you' }),
  small: () => ({ kind: 'denied', message: 'not that' }),
})
let folder: string
let authority: Authority
let isOpen: boolean
let written: string[]
let say: (item: string) => Promise<void>

const handlers: Handlers<typeof api> = {
  who: async (_, { caller }) => ({ name: caller.name }),
  follow: async (_, call) => {
    say = call.say
    await say('begun')
    await new Promise((resolve) => call.signal.addEventListener('abort', resolve))
    return {}
  },
  put: async () => ({}),
}
const admit: Admit = async ({ headers }) => {
  if (!isOpen || headers.authorization !== 'Bearer open-sesame') throw fault.closed({})
  return {
    caller: { name: 'ali', via: 'token' },
    authorize({ operation }) {
      if (operation === 'put') throw fault.small({})
    },
  }
}
const record = {
  begin: async ({ name }: { name: string }, { operation }: { operation: string }) => {
    written.push(`${name} ${operation}`)
    return async (outcome: string) => void written.push(`${operation}: ${outcome}`)
  },
  refused: (_: unknown, caller: { name: string } | undefined, code: string) => void written.push(`${caller?.name ?? 'nobody'} ${code}`),
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'https-'))
  authority = makeAuthority(folder)
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  isOpen = true
  written = []
})

async function served(names: readonly string[] = ['IP:127.0.0.1'], clock = systemClock): Promise<HttpsControl> {
  const certificate = makeCertificate(authority, names)
  const control = await openHttpsControl(
    { api, handlers, record, clock, log },
    { admit },
    { daemon: 'lamp', host: '127.0.0.1', port: 0, certificate },
  )
  later(() => control[Symbol.asyncDispose]())
  return control
}
const client = ({ port }: { port: number }, { bearer = 'open-sesame', pem = authority.pem } = {}) =>
  controlClient(api, { daemon: 'lamp', way: httpsWay({ host: '127.0.0.1', port }, { authority: pem, bearer: new Secret(bearer) }) })

test('calls and streams go to whoever is let in, to nobody else, and each leaves its line', async () => {
  const control = await served()
  expect(await client(control).calls.who({})).toEqual({ name: 'ali' })
  expect(await client(control).about()).toMatchObject({ daemon: 'lamp', operations: ['who', 'follow', 'put'] })
  await expect(client(control, { bearer: 'wrong' }).calls.who({})).rejects.toMatchObject({ code: 'door.closed' })
  await expect(client(control, { bearer: 'wrong' }).about()).rejects.toMatchObject({ code: 'door.closed' })
  await expect(client(control, { bearer: 'wrong' }).calls.follow({})).rejects.toMatchObject({ code: 'door.closed' })
  expect(written).toEqual(['ali who', 'who: done', 'nobody door.closed', 'nobody door.closed', 'nobody door.closed'])
})

test('an upload that is refused ends before it is sent, and the refusal comes through', async () => {
  const control = await served()
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(64 << 10)
  }
  await expect(client(control).calls.put({}, { upload: endless() })).rejects.toMatchObject({ code: 'door.small', kind: 'denied' })
})

test('another authority, another name: nothing is sent there', async () => {
  mkdirSync(join(folder, 'other'), { recursive: true })
  const other = makeAuthority(join(folder, 'other'), 'other')
  const control = await served()
  await expect(client(control, { pem: other.pem }).calls.who({})).rejects.toMatchObject({ code: 'control.untrusted', kind: 'unavailable' })
  const named = await served(['DNS:elsewhere.example.org'])
  await expect(client(named).calls.who({})).rejects.toMatchObject({
    code: 'control.untrusted',
    details: { reason: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  })
  expect(written).toEqual([])
  const shown = await shownAuthority({ host: '127.0.0.1', port: control.port }, new AbortController().signal)
  expect(shown).toMatchObject({ isAuthority: true })
  expect(shown.pem.trim()).toBe(authority.pem.trim())
  expect(await client(control, { pem: shown.pem }).calls.who({})).toEqual({ name: 'ali' })
})

test('a certificate is changed without a connection being dropped; a bad one changes nothing', async () => {
  const control = await served()
  const items: string[] = []
  const call = client(control).calls.follow({}, { onItem: (item) => void items.push(item) })
  await vi.waitFor(() => expect(items).toEqual(['begun']))
  const serial = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: control.port, ca: authority.pem }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.once('error', reject)
    })
  const before = await serial()
  expect(() => control.setCertificate({ chain: 'none', key: 'none' })).toThrow(expect.objectContaining({ code: 'control.bad_certificate' }))
  const { key } = makeCertificate(authority, ['IP:127.0.0.1'])
  const next = makeCertificate(authority, ['IP:127.0.0.1'])
  expect(() => control.setCertificate({ chain: next.chain, key })).toThrow(expect.objectContaining({ code: 'control.bad_certificate' }))
  expect(await serial()).toBe(before)
  control.setCertificate(next)
  expect(await serial()).not.toBe(before)
  await say('still here')
  await vi.waitFor(() => expect(items).toEqual(['begun', 'still here']))
  expect(await client(control).calls.who({})).toEqual({ name: 'ali' })
  await control[Symbol.asyncDispose]()
  expect(await call).toEqual({})
})

test('a stream ends when whoever follows it may no longer', async () => {
  const clock = createTestClock()
  const control = await served(undefined, clock)
  const call = client(control).calls.follow({})
  call.catch(() => {})
  await vi.waitFor(() => expect(written).toEqual(['ali follow']))
  await clock.advance(beatMs)
  isOpen = false
  await clock.advance(beatMs)
  await expect(call).rejects.toMatchObject({ code: 'door.closed' })
  expect(written).toEqual(['ali follow', 'follow: door.closed'])
})

test('a port that is taken, an address that is none', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  later(() => holder.close())
  const { port } = holder.address() as { port: number }
  const certificate = makeCertificate(authority, ['IP:127.0.0.1'])
  const opening = openHttpsControl(
    { api, handlers, clock: systemClock, log },
    { admit },
    { daemon: 'lamp', host: '127.0.0.1', port, certificate },
  )
  await expect(opening).rejects.toMatchObject({ code: 'control.busy_port', message: expect.stringContaining('EADDRINUSE') })
  expect(httpsAddress('rift', 9444)).toEqual({ host: 'rift', port: 9444 })
  expect(httpsAddress('100.64.0.7:1', 9444)).toEqual({ host: '100.64.0.7', port: 1 })
  expect(httpsAddress('[fd00::7]:9', 9444)).toEqual({ host: 'fd00::7', port: 9 })
  for (const text of ['', 'rift:', 'rift:99999', 'rift:0', 'http://rift', 'a b', 'fd00::7', '-x'])
    expect(httpsAddress(text, 9444), text).toBeUndefined()
})
