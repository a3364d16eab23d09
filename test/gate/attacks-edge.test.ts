// Attacks on the gate's HTTP door that need no credential: foreign sites, bodies that are traps, streams without number, doors that should not be there.
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fixtureCommand } from '../kit/fixture/process.ts'
import * as raw from '../kit/raw-client.ts'
import { later } from '../kit/cleanup.ts'
import { call, gateFor, ledgerLines, modern, openSession, residentBytes, send, servers, textOf, unrulyServer, until } from './bed.ts'

const paths = ['/mcp/up', '/mcp/none', '/health', '/livez', '/readyz', '/metrics', '/', '/api/anything', '/handshake', '/connectors']

/** What the process has used of a processor: unlike time, it does not depend on who else runs. */
function cpuMs(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return (user! + system!) * 10
}

describe('attacks 1, 2: another site (CVE-2025-66414, CVE-2026-34742, CVE-2026-42559)', () => {
  test.each([
    ['a foreign Host', { host: 'evil.example' }],
    ['a foreign Host with our port', { host: 'evil.example:8001' }],
    ['a Host that begins like ours', { host: '127.0.0.1.evil.example' }],
    ['a foreign Origin', { origin: 'https://evil.example' }],
    ['an Origin that begins like ours', { origin: 'http://localhost.evil.example' }],
    ['an Origin with our name as user', { origin: 'http://127.0.0.1@evil.example' }],
    ['Origin null', { origin: 'null' }],
    ['an empty Origin', { origin: '' }],
    ['the Origin of a file', { origin: 'file://' }],
  ])('%s is 403 on every path and by every method, with a good token too', async (_what, headers) => {
    const far = unrulyServer()
    const gate = await gateFor({ upstreams: { up: { command: far.command } } })
    let refused = 0
    for (const path of paths)
      for (const httpMethod of ['GET', 'POST', 'DELETE', 'OPTIONS'])
        for (const token of [undefined, gate.token]) {
          const answer = await send(`http://127.0.0.1:${gate.port}${path}`, httpMethod === 'POST' ? '{}' : undefined, {
            httpMethod,
            headers,
            ...(token === undefined ? {} : { token }),
          })
          expect([path, httpMethod, answer.status]).toEqual([path, httpMethod, 403])
          expect(answer.headers.get('access-control-allow-origin')).toBeNull()
          refused++
        }
    expect(far.starts()).toBe(0)
    const lines = () => ledgerLines(gate).filter(({ event }) => event === 'refused')
    await until(
      'each is in the record, at least by number',
      () => lines().reduce((sum, { further }) => sum + Number(further ?? 1), 0) === refused,
    )
  })
})

test('attack 3: bodies that are traps at the default limits cost an answer and no more (CVE-2026-111768, GHSA-f897-62hf-6gxq, CVE-2026-27896)', async () => {
  const gate = await gateFor({ upstreams: { up: { command: fixtureCommand } } })
  const session = await openSession(gate.url('up'))
  const inside = (text: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${text}}}`
  const members = Array.from({ length: 500_000 }, (_, at) => `"${at.toString(36)}":1`).join(',')
  const before = residentBytes(gate.process.pid!)
  for (const [what, body] of [
    ['100,000 nested arrays', inside(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)],
    ['100,000 nested objects', inside(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)],
    ['500,000 small members', inside(`{${members}}`)],
    ['1,000,000 small elements', inside(`{"a":[${'1,'.repeat(999_999)}1]}`)],
    ['a line feed between two values', '{"jsonrpc":"2.0","id":1,"method":"ping"}\n{"jsonrpc":"2.0","id":2,"method":"ping"}'],
    ['a batch of 100,000', `[${Array.from({ length: 100_000 }, () => '{"jsonrpc":"2.0","id":1,"method":"ping"}').join(',')}]`],
  ] as const) {
    const from = cpuMs(gate.process.pid!)
    const answer = await send(gate.url('up'), body, { session })
    expect([what, answer.status]).toEqual([what, 400])
    expect(cpuMs(gate.process.pid!) - from).toBeLessThan(2_000)
  }
  expect(residentBytes(gate.process.pid!) - before).toBeLessThan(128 << 20)
  expect(textOf(await call(gate.url('up'), 'echo', { text: 'on' }, { session }))).toBe('on')
})

test('attack 4: ten thousand clients that open idle streams cost bounded memory and nobody an answer', { timeout: 120_000 }, async () => {
  const gate = await gateFor({
    upstreams: { up: { command: fixtureCommand, more: 'isolation = "shared"' }, well: { command: fixtureCommand } },
  })
  const session = await openSession(gate.url('well'))
  await modern(gate.url('up'), 'tools/list', {})
  const before = residentBytes(gate.process.pid!)
  const sockets: Socket[] = []
  later(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let batch = 0; batch < 1; batch++) {
    const some = Array.from({ length: 450 }, () => connect(gate.port, '127.0.0.1').on('error', () => {}))
    sockets.push(...some)
    await Promise.all(some.map((socket) => once(socket, 'connect')))
  }
  const body = JSON.stringify(raw.enveloped('s', 'subscriptions/listen', { notifications: { toolsListChanged: true } }))
  for (let at = 0; at < 9_600; at++) {
    const socket = connect(gate.port, '127.0.0.1').on('error', () => {})
    sockets.push(socket)
    socket.write(
      `POST /mcp/up HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n` +
        `mcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  }
  const told = { stream: 0, refused: 0 }
  for (const socket of sockets.slice(-9_600))
    socket.once('data', (head: Buffer) => {
      const text = head.toString('latin1')
      if (text.includes('text/event-stream')) told.stream++
      else if (text.includes('upstream.overloaded')) told.refused++
    })
  await Promise.all(sockets.slice(-9_600).flatMap((socket) => (socket.connecting ? [once(socket, 'connect')] : [])))
  await until('each has its stream or was told that there are too many', () => told.stream + told.refused === 9_600, 60_000)
  expect(told.stream).toBe(1_024)
  const times: number[] = []
  for (let round = 0; round < 50; round++) {
    const from = performance.now()
    expect(textOf(await call(gate.url('well'), 'echo', { text: 'on' }, { session }))).toBe('on')
    times.push(performance.now() - from)
  }
  expect(times.sort((a, b) => a - b)[25]).toBeLessThan(1_000)
  expect(residentBytes(gate.process.pid!) - before).toBeLessThan(400 << 20)
  for (const socket of sockets) socket.destroy()
  expect(textOf(await call(gate.url('well'), 'echo', { text: 'after' }, { session }))).toBe('after')
})

test('attacks 19, 32: no request defines, tests or starts a command, reads a configuration or changes one (CVE-2025-49596, CVE-2026-79748, CVE-2026-30623)', async () => {
  const gate = await gateFor({ upstreams: { up: { command: unrulyServer().command } } })
  const asked = {
    command: ['/bin/sh', '-c', 'exit'],
    transportType: 'stdio',
    args: ['x'],
    name: 'new',
    mcpServers: { new: { command: 'sh' } },
  }
  for (const token of [undefined, gate.token])
    for (const path of [
      '/stdio?command=sh&args=-c&transportType=stdio',
      '/sse?transportType=stdio&command=sh',
      '/config',
      '/api/servers',
      '/servers',
      '/mcp-rest/test/connection',
      '/mcp/new',
      '/admin',
      '/mcp/../admin',
    ])
      for (const httpMethod of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const answer = await send(
          `http://127.0.0.1:${gate.port}${path}`,
          /^(?:GET|DELETE)$/.test(httpMethod) ? undefined : JSON.stringify(asked),
          {
            httpMethod,
            ...(token === undefined ? {} : { token }),
          },
        )
        expect([path, httpMethod, answer.status]).toEqual([path, httpMethod, 404])
      }
  expect(servers(gate)).toEqual([])
})
