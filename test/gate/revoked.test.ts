// A credential that goes while its streams are open, in every way that one can be shown: whoever only listens hears nothing more, calls that run are answered.
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { tokenHash } from '../../src/base/access/principal.ts'
import { upstreams as kinds } from '../../src/extensions.ts'
import schema from '../../src/gate/config.ts'
import { startConfiguredGate } from '../../src/gate/configured.ts'
import type { GateConfig } from '../../src/gate/upstream-kind.ts'
import { later } from '../kit/cleanup.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { configure } from '../kit/gate.ts'
import { startIssuer } from '../kit/issuer.ts'
import * as raw from '../kit/raw-client.ts'
import { type RunningGate, call, gateFor, ledgerLines, listen, openSession, send, temporaryFolder, textOf, until } from './bed.ts'
import { gateCommand, handshake, handshakeBody, issue, startCommand } from './connector-bed.ts'

const upstreams = { up: { command: fixtureCommand } }
const rule = '[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\n'
const person = (name: string, ...tokens: string[]): string =>
  `[gate.principals.${name}]\ntoken_sha256 = ${JSON.stringify(tokens.map(tokenHash))}\n`

/** A modern stream: `subscriptions/listen`, which has been acknowledged. */
async function subscribed(url: string, options: raw.ModernOptions): Promise<{ isEnded(): boolean }> {
  const stream = await raw.modern(url, 1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }, options)
  expect(await stream.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' })
  let isEnded = false
  const over = (): boolean => (isEnded = true)
  void (async () => {
    while (await stream.next());
  })().then(over, over)
  return { isEnded: () => isEnded }
}

async function streamsOf(gate: RunningGate, token: string): Promise<{ isEnded(): boolean }[]> {
  const urls = [gate.url('up'), `http://127.0.0.1:${gate.port}/mcp`]
  const all = urls.map(async (url) => {
    const session = await openSession(url, { token })
    return [await listen(url, { authorization: `Bearer ${token}`, 'mcp-session-id': session }), await subscribed(url, { token })]
  })
  return (await Promise.all(all)).flat()
}

/** Resolves when the head is there; a stream through a UNIX socket. */
function socketStream(socketPath: string, body: object, headers: Record<string, string>): Promise<{ isEnded(): boolean }> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        socketPath,
        method: 'POST',
        path: '/mcp/up',
        headers: { ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      },
      (response) => {
        let isEnded = false
        response.on('error', () => {}).on('close', () => (isEnded = true))
        response.once('data', () => resolve({ isEnded: () => isEnded }))
      },
    )
    asking.on('error', reject).end(JSON.stringify(body))
    later(() => asking.destroy())
  })
}

async function reload(gate: RunningGate, access: string, settings = ''): Promise<void> {
  configure(gate.folder, { upstreams, access, settings, port: 0 })
  const { code, stderr } = await gateCommand(gate, 'reload')
  expect([code, stderr]).toEqual([0, ''])
}

describe('attack 13: a credential that is revoked while streams are open', () => {
  test('a token, a principal, an issuer, a socket: their streams end at once, in both eras and at all upstreams; others stay', async () => {
    const issuer = await startIssuer()
    const path = join(temporaryFolder(), 'backup.sock')
    const corp = `[gate.issuers.corp]\nissuer = "${issuer.url}"\njwks_url = "${issuer.jwksUrl}"\naudience = "gate"\nprincipals = { "1" = "alice" }\n`
    const socket = `[gate.principals.backup]\n[gate.sockets.backup]\npath = "${path}"\nprincipal = "backup"\n`
    const gate = await gateFor({
      upstreams,
      access: `${person('ann', 'a1', 'a2')}${person('bob', 'b')}[gate.principals.alice]\n${corp}${socket}${rule}`,
    })
    const jwt = await issuer.sign({ sub: '1', aud: 'gate' })
    const throughSocket = await socketStream(
      path,
      raw.enveloped(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }),
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' },
    )
    const gone = [...(await streamsOf(gate, 'a1')), ...(await streamsOf(gate, 'b')), ...(await streamsOf(gate, jwt)), throughSocket]
    const stays = await streamsOf(gate, 'a2')
    const session = await openSession(gate.url('up'), { token: 'b' })
    const slow = call(gate.url('up'), 'slow', { ms: 1_500 }, { token: 'b', session })
    await until('it runs', () => ledgerLines(gate).some((line) => line['name'] === 'slow'))
    expect(gone.filter((stream) => stream.isEnded())).toEqual([])

    await reload(gate, `${person('ann', 'a2')}${rule}`)
    await until('all of them have ended', () => gone.every((stream) => stream.isEnded()), 1_000)
    for (const token of ['a1', 'b', jwt]) expect((await send(gate.url('up'), '{}', { token })).status).toBe(401)
    expect(textOf(await slow)).toBe('waited 1500')
    expect(stays.filter((stream) => stream.isEnded())).toEqual([])
    await expect(socketStream(path, {}, {})).rejects.toThrow(/ENOENT|ECONNREFUSED/)

    // The same name later is somebody else: nothing of the earlier one is found.
    await reload(gate, `${person('ann', 'a2')}${person('bob', 'b')}${rule}`)
    expect((await call(gate.url('up'), 'echo', { text: 'x' }, { token: 'b', session })).status).toBe(404)
  }, 60_000)

  test('a socket that is another principal now, and the local one: who came in before is cut off', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'one.sock')
    const access = (who: string, mode = '600'): string =>
      `[gate.principals.ann]\n[gate.principals.bob]\n[gate.sockets.one]\npath = "${path}"\nprincipal = "${who}"\nmode = "${mode}"\n${rule}`
    const gate = await gateFor({ upstreams, access: access('ann'), settings: 'local = "ann"\n' })
    const local = connect(join(gate.folder, 'state', 'local.sock'))
    let isCut = false
    local.on('error', () => {}).on('close', () => (isCut = true))
    local.write(`{"fairlead":1,"upstream":"up"}\n${JSON.stringify(raw.enveloped(1, 'tools/list', {}))}\n`)
    await new Promise((resolve) => local.once('data', resolve))
    const listening = raw.enveloped(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } })
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' }
    const stream = await socketStream(path, listening, headers)
    await reload(gate, access('ann', '660'), 'local = "ann"\n')
    expect([isCut, stream.isEnded()]).toEqual([false, false])
    await reload(gate, access('bob', '660'), 'local = "bob"\n')
    await until('both have ended', () => isCut && stream.isEnded(), 1_000)
    await socketStream(path, listening, headers)
    expect(ledgerLines(gate).at(-1)).toMatchObject({ event: 'reload' })
  }, 30_000)

  test('the credential of a connector, when it was rotated and when connectors are frozen', async () => {
    const gate = await gateFor({ upstreams, access: rule })
    const { token, file } = await issue(gate, 'operator_api')
    const old = await streamsOf(gate, token)
    const rotating = startCommand(gate, 'rotate', 'operator_api', '--out', `${file}.next`, '--overlap', '30s')
    await until('there is a new one', () => existsSync(`${file}.next`))
    const next = readFileSync(`${file}.next`, 'utf8').trim()
    await until('it is good', async () => (await handshake(gate, next, handshakeBody('operator_api'))).status === 200)
    await once(rotating, 'exit')
    await until('the old one hears nothing more', () => old.every((stream) => stream.isEnded()), 1_000)
    const current = await streamsOf(gate, next)
    expect((await gateCommand(gate, 'freeze')).code).toBe(0)
    await until('nor does the new one', () => current.every((stream) => stream.isEnded()), 1_000)
  }, 60_000)

  test('a peer that is no principal any more: its connection ends at once', async () => {
    const folder = temporaryFolder()
    const socket = join(folder, 'peers.sock')
    const configOf = (peers: readonly string[]): GateConfig =>
      schema.parse({
        listen: '127.0.0.1:0',
        state: folder,
        upstreams,
        principals: { ann: { peers } },
        rules: [{ principals: ['*'], upstreams: ['*'], tools: ['*'] }],
      })
    let config = configOf(['12D3one', '12D3two'])
    const own = { folder, state: folder, kinds, connectors: [], peers: { socket, upstream: 'up' }, read: async () => config }
    const gate = await startConfiguredGate({ clock, log: silentLog, env: process.env, ...own }, config)
    later(() => gate.close())
    const wire = async (peer: string): Promise<{ isEnded(): boolean }> => {
      const wire = connect(socket)
      let isEnded = false
      wire.on('error', () => {}).on('close', () => (isEnded = true))
      wire.write(`${JSON.stringify({ fairlead: 1, peer })}\n${JSON.stringify(raw.enveloped(1, 'tools/list', {}))}\n`)
      await new Promise((resolve) => wire.once('data', resolve))
      return { isEnded: () => isEnded }
    }
    const [one, two] = [await wire('12D3one'), await wire('12D3two')]
    config = configOf(['12D3two'])
    expect(await gate.reload()).toMatchObject({ changedKeys: ['gate.principals'] })
    await until('it has ended', () => one.isEnded(), 1_000)
    expect(two.isEnded()).toBe(false)
  })

  test('what cannot be opened changes nothing: sockets that were opened for it are gone, and whoever listened goes on', async () => {
    const folder = temporaryFolder()
    const [first, second] = [join(folder, 'first.sock'), join(folder, 'second.sock')]
    writeFileSync(second, 'of a person')
    const socket = (name: string, path: string): string => `[gate.sockets.${name}]\npath = "${path}"\nprincipal = "ann"\n`
    const gate = await gateFor({ upstreams, access: `${person('ann', 'a1')}${rule}` })
    const streams = await streamsOf(gate, 'a1')
    configure(gate.folder, {
      upstreams,
      access: `${person('ann', 'a2')}${socket('first', first)}${socket('second', second)}${rule}`,
      port: 0,
    })
    const { code, stderr } = await gateCommand(gate, 'reload')
    expect(code).not.toBe(0)
    expect(stderr).toContain('second.sock')
    await expect(socketStream(first, {}, {})).rejects.toThrow(/ENOENT|ECONNREFUSED/)
    expect((await send(gate.url('up'), '{}', { token: 'a2' })).status).toBe(401)
    expect(streams.filter((stream) => stream.isEnded())).toEqual([])
  }, 30_000)
})
