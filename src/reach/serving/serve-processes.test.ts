// What mcp-serve serves besides a child for each session, with real processes: one child for all, a server that runs already, and what a policy lets through.
import { rm, writeFile } from 'node:fs/promises'
import { type Socket, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startFixture } from '../../../test/kit/fixture/process.ts'
import type { Answer, McpClient } from '../../../test/kit/mcp-client.ts'
import {
  type Person,
  type ReachBench,
  type Service,
  echoCommand,
  freePort,
  isAlive,
  local,
  reachBench,
} from '../../../test/kit/reach-bench.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const toolNames = async (mcp: McpClient): Promise<string[]> => (await mcp.request('tools/list')).result!.tools!.map(({ name }) => name)
const methods = (others: readonly Answer[]): unknown[] => others.map((one) => (one as { method?: unknown }).method)

async function serving(clients: number, words: (macs: readonly Person[]) => readonly string[]) {
  const [box, ...macs] = await bench.people(clients)
  const service = await bench.serve(box!.home, 'mcp-serve', ...words(macs), ...local)
  const connect = (at: number): McpClient => bench.client(macs[at]!.home, box!.peerId, '--address', service.addresses[0]!)
  return { service, macs, connect, box: box! }
}
const everybody = (macs: readonly Person[]): string[] => macs.flatMap(({ peerId }) => ['--authorized-peer', peerId])

describe('--shared', () => {
  test(
    'one child for all: ids, progress, log lines and updates reach whom they belong to; it is opened as one that cannot be asked; SIGKILL starts another',
    { timeout: 60_000 },
    async () => {
      const { service, connect } = await serving(2, (macs) => [...everybody(macs), '--shared', '--command', echoCommand])
      const [ann, bob] = [connect(0), connect(1)]
      for (const mcp of [ann, bob])
        await mcp.request('initialize', {
          protocolVersion: '2025-06-18',
          capabilities: { sampling: {}, elicitation: {}, roots: {} },
          clientInfo: { name: 'raw', version: '1' },
        })
      for (const mcp of [ann, bob]) mcp.write('{"jsonrpc":"2.0","method":"notifications/initialized"}')
      const pids = await Promise.all([ann, bob].map((mcp) => mcp.call('pid')))
      expect(pids[0]).toBe(pids[1])
      expect(await ann.call('opened')).toBe('{}')
      // the same ids and progress tokens at the same time
      const echoed = await Promise.all(
        ['a', 'b', 'c', 'd', 'e', 'f'].flatMap((text) =>
          [ann, bob].map(async (mcp, at) => [at, text, await mcp.call('echo', { text: `${at}${text}` })]),
        ),
      )
      for (const [at, text, answer] of echoed) expect(answer).toBe(`${at}${text}`)
      await Promise.all(
        [ann, bob].map((mcp) => mcp.request('tools/call', { name: 'progress', arguments: {}, _meta: { progressToken: 'mine' } })),
      )
      for (const { others } of [ann, bob])
        expect(others).toEqual([{ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'mine', progress: 1 } }])
      // ann asked for log lines and a resource, bob for neither
      await ann.request('logging/setLevel', { level: 'info' })
      await ann.request('resources/subscribe', { uri: 'file:///a' })
      await bob.call('later', { uri: 'file:///a' })
      const heard = ['notifications/progress', 'notifications/message', 'notifications/resources/updated']
      await expect.poll(() => methods(ann.others)).toEqual(heard)
      await bob.call('later', { uri: 'file:///b' })
      await expect.poll(() => methods(ann.others)).toEqual([...heard, 'notifications/message'])
      expect(methods(bob.others)).toEqual(['notifications/progress'])
      expect(JSON.parse(await bob.call('count'))).toMatchObject({ initializations: 1, initialized: 1 })

      const open = [ann, bob].map((mcp) => mcp.request('tools/call', { name: 'sleep' }))
      await Promise.all([ann.call('echo', { text: '' }), bob.call('echo', { text: '' })])
      process.kill(Number(pids[0]), 'SIGKILL')
      for (const answer of await Promise.all(open))
        expect(answer.error).toMatchObject({
          code: -32000,
          message: expect.stringMatching(/node.*ended before it answered.*SIGKILL/) as string,
        })
      const again = await Promise.all([ann, bob].map((mcp) => mcp.call('pid')))
      expect(again[0]).toBe(again[1])
      expect(again[0]).not.toBe(pids[0])
      // what ann wanted to hear is asked for again
      await bob.call('later', { uri: 'file:///a' })
      await expect.poll(() => methods(ann.others).slice(4)).toEqual(['notifications/message', 'notifications/resources/updated'])
      ann.process.stdin.end()
      await ann.ended
      expect(await bob.call('pid')).toBe(again[0])
      expect(await service.stop()).toBe(0)
      expect(isAlive(Number(again[0]))).toBe(false)
    },
  )

  test('a command that cannot be started is said to each request, and by its name', async () => {
    const { connect } = await serving(1, (macs) => [...everybody(macs), '--shared', '--command', 'no-such-server --x'])
    const mcp = connect(0)
    for (let i = 0; i < 2; i++) expect((await mcp.initialize()).error!.message).toContain('no-such-server')
  })
})

describe('--to URL', () => {
  test.each(['legacy', 'modern'] as const)(
    'a %s server behind Streamable HTTP: a session for each client, away and back again',
    { timeout: 60_000 },
    async (era) => {
      const port = await freePort()
      let fixture = await startFixture(era, port)
      bench.undo(() => fixture.stop())
      const { connect } = await serving(2, (macs) => [...everybody(macs), '--to', fixture.url])
      const meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
      }
      const more = era === 'modern' ? { _meta: meta } : {}
      const echo = (mcp: McpClient, text: string): Promise<Answer> =>
        mcp.request('tools/call', { name: 'echo', arguments: { text }, ...more })
      const [ann, bob] = [connect(0), connect(1)]
      for (const mcp of [ann, bob]) {
        if (era === 'legacy') await mcp.initialize()
        expect((await mcp.request('tools/list', more)).result!.tools!.map(({ name }) => name)).toContain('echo')
      }
      const both = await Promise.all([ann, bob].map((mcp, at) => echo(mcp, `${at}`)))
      expect(both.map(({ result }) => result!.content![0]!.text)).toEqual(['0', '1'])
      await fixture.kill()
      const away = await echo(ann, 'is anybody there?')
      expect(away.error).toMatchObject({ code: -32000, message: expect.stringContaining(`127.0.0.1:${port}`) as string })
      expect(away.error!.message).toContain('ECONNREFUSED')
      fixture = await startFixture(era, port)
      // its sessions are forgotten: the same client goes on as if nothing had happened
      for (const mcp of [ann, bob]) expect((await echo(mcp, 'back')).result!.content![0]!.text).toBe('back')
    },
  )

  test('the session there is ended when the client’s ends', async () => {
    const seen: string[] = []
    const port = await freePort()
    const { createServer: createHttp } = await import('node:http')
    const server = createHttp((request, response) => {
      const header = (name: string): string => String(request.headers[name] ?? '-')
      seen.push(`${request.method} ${header('mcp-session-id')} ${header('mcp-protocol-version')}`)
      if (request.method !== 'POST') return void response.writeHead(request.method === 'GET' ? 405 : 200).end()
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const { id, method } = JSON.parse(body) as { id?: number; method: string }
        if (id === undefined) return void response.writeHead(202).end()
        const result =
          method === 'initialize' ? { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } } : {}
        response
          .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'session-1' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, result }))
      })
    }).listen(port, '127.0.0.1')
    bench.undo(() => server.close())
    const { connect } = await serving(1, (macs) => [...everybody(macs), '--to', `http://127.0.0.1:${port}/mcp`])
    const mcp = connect(0)
    await mcp.initialize()
    expect((await mcp.request('ping')).result).toEqual({})
    mcp.process.stdin.end()
    await mcp.ended
    await expect.poll(() => seen.at(-1)).toBe('DELETE session-1 2025-06-18')
    expect(seen[0]).toBe('POST - -')
    expect(seen).toContain('POST session-1 2025-06-18')
  })
})

test(
  '--to unix: a plain server gets frames and nothing else; away, the error names it, and the next request finds it again',
  { timeout: 30_000 },
  async () => {
    const path = join(bench.folder, 'plain.sock')
    const lines: string[] = []
    const sockets: Socket[] = []
    const start = () => {
      const server = createServer((socket) => {
        sockets.push(socket)
        createInterface({ input: socket }).on('line', (line) => {
          lines.push(line)
          const { id } = JSON.parse(line) as { id?: unknown }
          if (id !== undefined) socket.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"protocolVersion":"2025-06-18"}}\n`)
        })
      }).listen(path)
      return async (): Promise<void> => {
        for (const socket of sockets.splice(0)) socket.destroy()
        await new Promise((resolve) => server.close(resolve))
      }
    }
    const stop = start()
    const { connect } = await serving(1, (macs) => [...everybody(macs), '--to', `unix:${path}`])
    const mcp = connect(0)
    await mcp.initialize()
    expect((await mcp.request('ping')).result).toBeDefined()
    expect(lines[0]).toMatch(/^\{"jsonrpc":"2.0","id":1,"method":"initialize"/)
    await stop()
    await rm(path, { force: true })
    await expect.poll(async () => (await mcp.request('ping')).error?.message, { timeout: 5_000 }).toContain(path)
    const stopAgain = start()
    bench.undo(stopAgain)
    await expect.poll(async () => (await mcp.request('ping')).result, { timeout: 10_000 }).toBeDefined()
    expect(lines.filter((line) => line.includes('"method":"initialize"'))).toHaveLength(2) // its own words, again
  },
)

describe('--policy', () => {
  const write = (file: string, text: string): Promise<void> => writeFile(file, text)

  test(
    'names who may connect and what each may call; a change counts at once; a damaged file changes nothing and is told of',
    { timeout: 60_000 },
    async () => {
      const file = join(bench.folder, 'policy.toml')
      let service: Service
      let macs: readonly Person[] = []
      const started = await serving(3, (people) => {
        macs = people
        return ['--authorized-peer', people[2]!.peerId, '--policy', file, '--command', echoCommand]
      }).catch((error: unknown) => error)
      expect(String(started)).toContain(`there is no configuration file ${file}`)
      const rules = (annTools: string): string =>
        `[peers.${macs[0]!.peerId}]\ntools = ${annTools}\n[peers.${macs[1]!.peerId}]\ntools = ["*"]\nmethods = ["logging/*"]\n[peers."*"]\ntools = ["count"]\n`
      await write(file, rules('["ec*", "pid"]'))
      const [box] = await bench.people(0)
      service = await bench.serve(
        box!.home,
        'mcp-serve',
        '--authorized-peer',
        macs[2]!.peerId,
        '--policy',
        file,
        '--command',
        echoCommand,
        ...local,
      )
      const [ann, bob, eve] = macs.map(({ home }) => bench.client(home, box!.peerId, '--address', service.addresses[0]!)) as [
        McpClient,
        McpClient,
        McpClient,
      ]
      for (const mcp of [ann, bob, eve]) await mcp.initialize()
      expect(await toolNames(ann)).toEqual(['echo', 'pid', 'count'])
      expect(await toolNames(bob)).toEqual(['echo', 'pid', 'count', 'large', 'sleep', 'die'])
      expect(await toolNames(eve)).toEqual(['count'])
      expect(await ann.call('echo', { text: 'may' })).toBe('may')
      expect((await ann.request('tools/call', { name: 'die' })).error).toEqual({
        code: -32001,
        message: `no rule lets ${macs[0]!.peerId} use the tool die of this server`,
      })
      expect((await ann.request('resources/read', { uri: 'file:///etc/passwd' })).error).toMatchObject({ code: -32001 })
      expect(JSON.parse(await eve.call('count'))).toEqual({ calls: 1, initializations: 1, initialized: 1 }) // a child of its own, that never heard of it
      expect(JSON.parse(await ann.call('count'))).toEqual({ calls: 2, initializations: 1, initialized: 1 })

      await write(file, rules('["die"]'))
      await expect.poll(() => toolNames(ann), { timeout: 5_000 }).toEqual(['count', 'die'])
      expect((await ann.request('tools/call', { name: 'echo', arguments: { text: '' } })).error).toMatchObject({ code: -32001 })
      await write(file, `${rules('["*"]')}tolls = ["x"]\n`)
      await expect.poll(() => service.log(), { timeout: 5_000 }).toMatch(/reach\.policy\.damaged.*tolls: unknown key/)
      expect(await toolNames(ann)).toEqual(['count', 'die'])
      // who is taken off is let go
      const open = bob.request('tools/call', { name: 'sleep' })
      await write(file, `[peers.${macs[0]!.peerId}]\ntools = ["echo"]\n`)
      expect((await open).error).toMatchObject({ data: { reason: 'reach.tunnel_ended' } })
      expect((await bob.request('ping')).error).toMatchObject({ code: -32001 })
      expect(await toolNames(ann)).toEqual(['echo'])
      expect((await eve.request('tools/list')).error).toMatchObject({ code: -32001 })
    },
  )

  test.each([
    ['an unknown key', '[peers."*"]\ntool = ["x"]\n', /policy-bad\.toml:2 peers\."\*"\.tool: unknown key; did you mean 'tools'\?/],
    ['no peer id', '[peers.ann]\ntools = ["x"]\n', /policy-bad\.toml:1 peers\.ann: must be a whole peer id/],
    ['nobody', '[peers]\n', /policy-bad\.toml:1 peers: names nobody/],
    ['no TOML', 'peers = [', /policy-bad\.toml:1/],
  ])('%s is refused at the start, with file, line and key', async (_, text, message) => {
    const file = join(bench.folder, 'policy-bad.toml')
    await write(file, text)
    const [box] = await bench.people(0)
    const ran = await bench.run(box!.home, 'mcp-serve', '--policy', file, '--command', echoCommand, ...local)
    expect(ran).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringMatching(message) as string })
  })
})

test.each([
  [['--to', 'http://a/', '--command', 'x'], 'what should be served? name one of --command and --to'],
  [[], 'what should be served? name one of --command and --to'],
  [['--to', 'ftp://a/'], '"ftp://a/" is nothing that can be served'],
  [['--to', 'http://me:secret@a/mcp?token=secret'], 'the user name or password in --to http://a/mcp could be read'],
  [['--to', 'http://a/', '--shared'], '--shared says something about --command'],
  [['--to', 'http://a/', '--introduce'], '--introduce says something about --to unix:PATH'],
  [['--command', 'x', '--max-frame-bytes', '1GiB'], '--max-frame-bytes: it must be a size from 64KiB to 64MiB'],
])('%j is a usage fault', async (words, message) => {
  const [box] = await bench.people(0)
  const ran = await bench.run(box!.home, 'mcp-serve', '--authorized-peer', box!.peerId, ...words, ...local)
  expect(ran).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(message) as string })
  expect(ran.stderr).not.toContain('secret')
})
