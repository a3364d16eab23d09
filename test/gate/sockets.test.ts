// UNIX sockets that stand for a principal each: who may connect is decided by the file, seen from outside as other users and other processes see it.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { later } from '../kit/cleanup.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import { startIssuer } from '../kit/issuer.ts'
import { enveloped } from '../kit/raw-client.ts'
import { type RunningGate, gateFor, initializeParams, ledgerLines, temporaryFolder } from './bed.ts'

const owner = 'a-token-of-the-owner'
const alice = 'a-token-of-alice'
const people = `[gate.principals.alice]\ntoken_sha256 = "${tokenHash(alice)}"\n[gate.principals.backup]\n[gate.principals.owner]\ntoken_sha256 = "${tokenHash(owner)}"\n[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\n`

type Answer = { readonly status: number; readonly session: string | undefined; readonly text: string }

/** One POST through the socket. */
function through(path: string, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sending = request(
      {
        socketPath: path,
        method: 'POST',
        path: '/mcp/up',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () =>
          resolve({ status: response.statusCode!, session: response.headers['mcp-session-id'] as string | undefined, text }),
        )
      },
    )
    sending.on('error', reject).end(JSON.stringify(body))
  })
}

const call = enveloped(1, 'tools/call', { name: 'echo', arguments: { text: 'in' } })
const callHeaders = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' }
const ask = (path: string, headers: Record<string, string> = {}): Promise<Answer> => through(path, call, { ...callHeaders, ...headers })
const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: initializeParams }

type Options = {
  readonly folder?: string
  readonly more?: string
  readonly mode?: string
  readonly settings?: string
  readonly stateFolder?: string
}

async function start({ folder = temporaryFolder(), more = '', mode, settings = '', stateFolder }: Options = {}): Promise<{
  gate: RunningGate
  path: string
  other: string
}> {
  const [path, other] = [join(folder, 'alice.sock'), join(folder, 'backup.sock')]
  const access =
    `${people}[gate.sockets.alice]\npath = "${path}"\nprincipal = "alice"\n${mode === undefined ? '' : `mode = "${mode}"\n`}` +
    `[gate.sockets.backup]\npath = "${other}"\nprincipal = "backup"\n${more}`
  const gate = await gateFor({
    upstreams: { up: { command: fixtureCommand } },
    access,
    settings,
    ...(stateFolder === undefined ? {} : { folder: stateFolder }),
  })
  return { gate, path, other }
}

describe('who comes in', () => {
  test('is the principal of the socket, without a credential; TCP is still closed; the record names the way', async () => {
    const { gate, path, other } = await start()
    expect((await ask(path)).text).toContain('"in"')
    expect((await ask(other)).status).toBe(200)
    expect((await fetch(gate.url('up'), { method: 'POST' })).status).toBe(401)
    const begun = ledgerLines(gate).filter(({ event }) => event === 'call.begin')
    expect(begun.map(({ principal, via }) => [principal, via])).toEqual([
      ['alice', 'socket'],
      ['backup', 'socket'],
    ])
  })

  test('may show a credential of the same principal, and no other: a bad one is never the socket', async () => {
    const issuer = await startIssuer()
    const { path } = await start({
      more: `[gate.issuers.corp]\nissuer = "${issuer.url}"\njwks_url = "${issuer.jwksUrl}"\naudience = "gate"\nprincipals = { "1" = "alice", "2" = "owner" }\n`,
    })
    const said = async (token: string): Promise<number> => (await ask(path, { authorization: `Bearer ${token}` })).status
    expect(await said(alice)).toBe(200)
    expect(await said(await issuer.sign({ sub: '1', aud: 'gate' }))).toBe(200)
    for (const token of [owner, 'wrong', await issuer.sign({ sub: '2', aud: 'gate' }), await issuer.sign({ sub: '1', aud: 'x' })])
      expect(await said(token)).toBe(401)
    expect((await ask(path, { authorization: 'Basic x' })).status).toBe(401)
  })

  test("a session of one socket is none at another, and is the same principal's elsewhere", async () => {
    const { gate, path, other } = await start()
    const { session } = await through(path, initialize)
    const ping = { jsonrpc: '2.0', id: 2, method: 'ping' }
    const headers = { 'mcp-session-id': session! }
    expect((await through(other, ping, headers)).status).toBe(404)
    expect((await through(path, ping, headers)).status).toBe(200)
    const answer = await fetch(gate.url('up'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${alice}`,
        ...headers,
      },
      body: JSON.stringify(ping),
    })
    expect(answer.status).toBe(200)
  })

  test('from another site is refused as over TCP', async () => {
    const { path } = await start()
    expect((await ask(path, { host: 'evil.example' })).status).toBe(403)
    expect((await ask(path, { origin: 'https://evil.example' })).status).toBe(403)
  })
})

describe('the file', () => {
  test.each([
    [undefined, 0o600],
    ['0660', 0o660],
    ['666', 0o666],
  ])('has the mode %s', async (mode, bits) => {
    const { path } = await start(mode === undefined ? {} : { mode })
    expect(statSync(path).mode & 0o777).toBe(bits)
  })

  test('keeps other users out, or lets them in', async ({ skip }) => {
    skip(process.getuid?.() !== 0, 'only root can ask as another user')
    const folder = temporaryFolder()
    chmodSync(folder, 0o755)
    const { path, other } = await start({ folder, mode: '666' })
    const connect = (to: string): number | null =>
      spawnSync(
        'python3',
        ['-c', `import os,socket\nos.setgid(65534); os.setuid(65534)\nsocket.socket(socket.AF_UNIX).connect(${JSON.stringify(to)})`],
        { stdio: 'ignore' },
      ).status
    expect(connect(path)).toBe(0)
    expect(connect(other)).not.toBe(0)
  })

  test('of a gate that was killed is replaced, and goes with a gate that ends; nothing is left beside it', async () => {
    const folder = temporaryFolder()
    const first = await start({ folder })
    await first.gate.stop('SIGKILL')
    expect(existsSync(first.path)).toBe(true)
    const second = await start({ folder })
    expect((await ask(second.path)).status).toBe(200)
    await second.gate.stop('SIGINT')
    expect(readdirSync(folder).filter((name) => !name.endsWith('.lock'))).toEqual([])
  })

  test('of a gate that runs is not taken over, nor is what somebody else serves, nor a file that is no socket', async () => {
    const folder = temporaryFolder()
    const { path } = await start({ folder })
    await expect(start({ folder })).rejects.toThrow(/another process serves .*alice\.sock already/)
    expect((await ask(path)).status).toBe(200)
    const foreign = temporaryFolder()
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(join(foreign, 'alice.sock'), resolve))
    later(() => server.close())
    await expect(start({ folder: foreign })).rejects.toThrow(/another process serves/)
    const occupied = temporaryFolder()
    writeFileSync(join(occupied, 'alice.sock'), 'of a person')
    await expect(start({ folder: occupied })).rejects.toThrow(/no socket/)
    expect(statSync(join(occupied, 'alice.sock')).size).toBe(11)
  })

  test('is in no folder where others could put another in its place', async () => {
    for (const mode of [0o777, 0o775]) {
      const folder = join(temporaryFolder(), 'open')
      mkdirSync(folder)
      chmodSync(folder, mode)
      await expect(start({ folder })).rejects.toThrow(/could put another socket in the place of/)
    }
    const sticky = join(temporaryFolder(), 'sticky')
    mkdirSync(sticky)
    chmodSync(sticky, 0o1777)
    expect((await ask((await start({ folder: sticky })).path)).status).toBe(200)
  })
})
