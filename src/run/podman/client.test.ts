// Podman's answers are somebody else's: late, large, broken or none at all, they become faults in time.
import { mkdtempSync, rmSync } from 'node:fs'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import podman from '../runtimes/podman.ts'
import type { Runtime } from '../runtime.ts'
import { type PodmanClient, podmanClient } from './client.ts'

let folder: string
let socket: string
let server: Server
let answer: (request: IncomingMessage, response: ServerResponse) => unknown
let client: PodmanClient
const info = '{"host":{"cgroupVersion":"v2","cgroupControllers":["memory","pids"],"security":{"rootless":true}}}'

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'podman-'))
  socket = join(folder, 's')
  server = createServer((request, response) => void answer(request, response)).listen(socket)
  await new Promise((resolve) => server.once('listening', resolve))
  client = podmanClient({ clock }, socket)
})
afterEach(() => {
  client.close()
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const call = (timeoutMs = 2_000) => client.call({ method: 'GET', path: 'x', doing: 'ask', timeoutMs })
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )
async function open(list: string): Promise<Runtime> {
  answer = ({ url = '' }, response) => response.end(url.includes('/info') ? info : list)
  return podman.open({ clock, log, env: {} }, { socket, folder })
}

test('an answer comes, with what podman calls a refusal in its own words', async () => {
  answer = ({ url, method, headers }, response) => response.end(JSON.stringify({ url, method, host: headers.host }))
  expect(await client.mustDo({ method: 'POST', path: 'a', query: { b: 'c/ä&', none: undefined }, doing: 'ask' })).toEqual({
    url: '/v4.3.1/libpod/a?b=c%2F%C3%A4%26',
    method: 'POST',
    host: 'podman',
  })
  answer = (_, response) => response.writeHead(409).end('{"cause":"a","message":"b","response":409}')
  expect(await call()).toEqual({ status: 409, body: undefined, refusal: { cause: 'a', message: 'b' } })
  expect(await failure(client.mustDo({ method: 'GET', path: 'x', doing: 'ask' }))).toMatchObject({
    code: 'run.runtime_refused',
    message: 'podman could not ask: b',
  })
  answer = (_, response) => response.writeHead(500).end('<html>')
  expect(await call()).toMatchObject({ refusal: { message: '<html>' } })
})

test('no socket, silence, a cut and a slow drip are "does not answer", in time', async () => {
  const away = podmanClient({ clock }, `${socket}-none`)
  expect(await failure(away.call({ method: 'GET', path: 'x', doing: 'ask' }))).toMatchObject({
    code: 'run.runtime_unavailable',
    details: { reason: 'ENOENT' },
  })
  answer = () => {}
  expect(await failure(call(100))).toMatchObject({
    code: 'run.runtime_unavailable',
    message: expect.stringContaining('did not ask within 0.1 s'),
  })
  answer = (_, response) => response.write('[') && setTimeout(() => response.destroy(), 20)
  expect(await failure(call())).toMatchObject({ code: 'run.runtime_unavailable' })
  answer = (_, response) => {
    const drip = setInterval(() => response.write(' '), 10)
    response.on('close', () => clearInterval(drip))
  }
  expect(await failure(call(200))).toMatchObject({ code: 'run.runtime_unavailable' })
})

test('what is no JSON, or too large, is refused', async () => {
  answer = (_, response) => response.end('{"a":')
  expect(await failure(call())).toMatchObject({ code: 'run.runtime_refused', message: expect.stringContaining('no JSON') })
  const mebibyte = Buffer.alloc(1 << 20, 0x20)
  answer = async (_, response) => {
    for (let count = 0; count < 40 && !response.destroyed; count++)
      if (!response.write(mebibyte)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
    response.end()
  }
  expect(await failure(call(20_000))).toMatchObject({ code: 'run.runtime_refused', message: expect.stringContaining('larger than') })
})

test.each(['{}', 'true', '"x"', '[1]', '[{}]', '[null]', '[{"Id":"../x"}]', '[{"Id":5,"Names":7}]', '{"a":[]}'])(
  'a list that is %s is refused, and nothing breaks',
  async (list) => {
    const runtime = await open(list)
    expect(await failure(runtime.list())).toMatchObject({ code: 'run.runtime_refused' })
    await runtime.close()
  },
)

test('no containers are none', async () => {
  for (const list of ['null', '[]']) {
    const runtime = await open(list)
    expect(await runtime.list()).toEqual([])
    await runtime.close()
  }
})

test('limits are offered where they hold: of a user, only what cgroup v2 hands on', async () => {
  const runtime = await open('[]')
  expect([...runtime.can].filter((ability) => ability.endsWith('-limits')).sort()).toEqual(['memory-limits', 'pid-limits'])
  await runtime.close()
})

test('a failed pull is told, though podman answers 200', async () => {
  const runtime = await open('{"stream":"Trying…\\n"}\nnonsense\n{"error":"no route to it"}\n')
  const said: string[] = []
  expect(await failure(runtime.pull('a:1', ({ text }) => said.push(text), new AbortController().signal))).toMatchObject({
    code: 'run.pull_failed',
    details: { reason: 'no route to it' },
  })
  expect(said).toEqual(['Trying…'])
  await runtime.close()
})
