// The runbook's line with real processes, real libp2p and a home for each: mcp-serve and mcp-connect, and what happens when any of them dies.
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type ReachBench,
  echoCommand,
  freePort,
  isAlive,
  listeningPorts,
  local,
  portOf,
  reachBench,
} from '../../../test/kit/reach-bench.ts'
import { createIdentity } from '../../base/identity/identity.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

describe('R8, R9: an MCP server through a peer tunnel', () => {
  test(
    'found by the registry, by id and by name; register beside it breaks nothing; the port is busy for another identity',
    { timeout: 60_000 },
    async () => {
      const [box, mac] = await bench.people(1)
      const registry = await bench.serve('registry-2', 'registry', ...local)
      const server = ['--server', `localhost:${portOf(registry)}`]
      const serving = await bench.serve(
        box!.home,
        'mcp-serve',
        '--authorized-peer',
        mac!.peerId,
        '--command',
        echoCommand,
        ...local,
        ...server,
      )
      await expect
        .poll(async () => (await bench.run(mac!.home, 'peers', ...server)).stdout, { timeout: 10_000 })
        .toContain(serving.addresses[0]!)
      expect((await bench.run(box!.home, 'register', ...server)).stdout).toContain(serving.addresses[0]!)
      for (const peer of [box!.peerId, box!.home, box!.peerId.slice(0, 20)]) {
        const mcp = bench.client(mac!.home, peer, ...server)
        await mcp.initialize()
        expect((await mcp.request('tools/list')).result!.tools!.map(({ name }) => name)).toContain('echo')
        expect(await mcp.call('echo', { text: 'hällo' })).toBe('hällo')
        mcp.process.stdin.end()
        expect(await mcp.ended).toBe(0)
      }
      const busy = await bench.run(
        mac!.home,
        'mcp-serve',
        '--authorized-peer',
        box!.peerId,
        '--command',
        echoCommand,
        '--host',
        '127.0.0.1',
        '--port',
        String(portOf(serving)),
      )
      expect(busy).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot listen') as string })
      await registry.stop()
      const cached = bench.client(mac!.home, box!.peerId) // the address is remembered
      await cached.initialize()
      expect(await cached.call('echo', { text: 'still' })).toBe('still')
      await serving.stop()
      const gone = await bench.run(mac!.home, 'mcp-connect', box!.peerId, ...server)
      expect(gone).toMatchObject({
        exitCode: 1,
        stdout: '',
        stderr: expect.stringMatching(/^fairlead: error: Peer not found: .*ECONNREFUSED.*the registry at localhost/m) as string,
      })
    },
  )

  test('two peers at once have a server each; lines of 64 KiB and 1 MiB pass; bad lines are answered and the session lives on; nothing is left behind', async () => {
    const [box, ...macs] = await bench.people(2)
    const serving = await bench.serve(
      box!.home,
      'mcp-serve',
      ...macs.flatMap(({ peerId }) => ['--authorized-peer', peerId]),
      '--command',
      echoCommand,
      ...local,
    )
    const clients = macs.map(({ home }) => bench.client(home, box!.peerId, '--address', serving.addresses[0]!))
    await Promise.all(clients.map((mcp) => mcp.initialize()))
    const pids = (await Promise.all(clients.map((mcp) => mcp.call('pid')))).map(Number)
    expect(new Set(pids).size).toBe(2)
    expect(listeningPorts(serving.pid)).toEqual([portOf(serving)])
    for (const mcp of clients) expect(listeningPorts(mcp.process.pid!)).toEqual([])
    for (const sizeBytes of [(64 << 10) + 1, 1 << 20]) {
      const text = 'ü'.repeat(sizeBytes / 2)
      expect((await clients[0]!.call('echo', { text })) === text).toBe(true)
    }
    clients[0]!.write('this is not JSON')
    clients[0]!.write('{"jsonrpc":"2.0","id":"mine"}')
    clients[0]!.write(`{"jsonrpc":"2.0","id":99,"method":"${'x'.repeat(9 << 20)}"}`)
    expect(await clients[0]!.call('echo', { text: 'alive' })).toBe('alive')
    expect(clients[0]!.others.map(({ id, error }) => [id, error!.code])).toEqual([
      [null, -32700],
      ['mine', -32600],
      [99, -32000],
    ])
    const end = performance.now()
    for (const mcp of clients) mcp.process.stdin.end()
    expect(await Promise.all(clients.map((mcp) => mcp.ended))).toEqual([0, 0])
    expect(performance.now() - end).toBeLessThan(1_000)
    await expect.poll(() => pids.some(isAlive), { timeout: 5_000 }).toBe(false)
  })

  test('SIGKILL of the server’s child: the open request gets an error that names it, the next one finds a new child initialized by the client’s own words', async () => {
    const [box, mac] = await bench.people(1)
    const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...local)
    const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
    await mcp.initialize()
    const pid = Number(await mcp.call('pid'))
    const open = mcp.request('tools/call', { name: 'sleep' })
    await mcp.call('echo', { text: 'the other is on its way' })
    process.kill(pid, 'SIGKILL')
    expect((await open).error).toMatchObject({
      code: -32000,
      data: { reason: 'reach.child_ended' },
      message: expect.stringContaining('SIGKILL') as string,
    })
    expect(Number(await mcp.call('pid'))).not.toBe(pid)
    expect(JSON.parse(await mcp.call('count'))).toEqual({ calls: 2, initializations: 1, initialized: 1 })
    expect((await mcp.request('tools/call', { name: 'die' })).error!.message).toContain('exit code 7')
    expect(await mcp.call('echo', { text: 'third life' })).toBe('third life')
  })

  test('SIGKILL of mcp-serve: its children go with it; when it is back, the open request gets an error, and the next one is served', async () => {
    const [box, mac] = await bench.people(1)
    const port = await freePort()
    const words = ['mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, '--host', '127.0.0.1', '--port', String(port)]
    const serving = await bench.serve(box!.home, ...words)
    const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
    await mcp.initialize()
    const pid = Number(await mcp.call('pid'))
    const open = mcp.request('tools/call', { name: 'sleep' })
    await mcp.call('echo', { text: 'the other is on its way' })
    await serving.stop('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false)
    await bench.serve(box!.home, ...words)
    expect((await open).error).toMatchObject({ code: -32000, data: { reason: 'reach.tunnel_ended' } })
    expect(JSON.parse(await mcp.call('count'))).toEqual({ calls: 1, initializations: 1, initialized: 1 })
  })

  test('SIGKILL of mcp-connect: its server is kept for the time that was set, and then goes', async () => {
    const [box, mac] = await bench.people(1)
    const serving = await bench.serve(
      box!.home,
      'mcp-serve',
      '--authorized-peer',
      mac!.peerId,
      '--command',
      echoCommand,
      '--keep',
      '1',
      ...local,
    )
    const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
    await mcp.initialize()
    const pid = Number(await mcp.call('pid'))
    mcp.process.kill('SIGKILL')
    await mcp.ended
    expect(isAlive(pid)).toBe(true)
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
    const next = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
    await next.initialize()
    const last = Number(await next.call('pid'))
    expect(await serving.stop()).toBe(0)
    expect(isAlive(last)).toBe(false)
  })
})

describe('who may not connect', () => {
  test('a peer that is not on the list learns that, and no more: by an error to its request, on stderr, and by exit code 4', async () => {
    const [box, mac] = await bench.people(1)
    const serving = await bench.serve(
      box!.home,
      'mcp-serve',
      '--authorized-peer',
      createIdentity().peerId,
      '--command',
      echoCommand,
      ...local,
    )
    const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
    const answer = await mcp.initialize()
    expect(answer.error).toMatchObject({ code: -32001, message: `not authorized by ${box!.peerId}` })
    expect(await mcp.ended).toBe(4)
    expect(mcp.stderr()).toContain(`fairlead: error: not authorized by ${box!.peerId}`)
  })

  test('Handshake Failed: another key answers at the address; Peer not found: nobody does, or the registry knows nobody; stdout stays empty', async () => {
    const [box, mac] = await bench.people(1)
    const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...local)
    const registry = await bench.serve('registry-3', 'registry', ...local)
    const other = createIdentity().peerId
    const port = `/ip4/127.0.0.1/tcp/${portOf(serving)}`
    const wrong = await bench.run(mac!.home, 'mcp-connect', other, '--address', port)
    expect(wrong).toMatchObject({
      exitCode: 4,
      stdout: '',
      stderr: expect.stringMatching(/^fairlead: error: Handshake Failed: /m) as string,
    })
    const nobody = await bench.run(mac!.home, 'mcp-connect', box!.peerId, '--address', `/ip4/127.0.0.1/tcp/${await freePort()}`)
    expect(nobody).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringMatching(/^fairlead: error: Peer not found: /m) as string,
    })
    const unknown = await bench.run(mac!.home, 'mcp-connect', other, '--server', `localhost:${portOf(registry)}`)
    expect(unknown).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringMatching(/^fairlead: error: Peer not found: /m) as string,
    })
  })

  test('who is taken off the file loses an open session within a second, and everybody else keeps theirs', async () => {
    const [box, mac, other] = await bench.people(2)
    const file = join(bench.folder, 'authorized')
    await writeFile(file, `# friends\n${mac!.peerId}\n${other!.peerId} # the other\n`)
    const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-file', file, '--command', echoCommand, ...local)
    const [mcp, stays] = [mac!, other!].map(({ home }) => bench.client(home, box!.peerId, '--address', serving.addresses[0]!))
    await Promise.all([mcp!.initialize(), stays!.initialize()])
    const open = mcp!.request('tools/call', { name: 'sleep' })
    const from = performance.now()
    await writeFile(file, `${other!.peerId}\n`)
    expect((await open).error).toMatchObject({ data: { reason: 'reach.tunnel_ended' } })
    expect(performance.now() - from).toBeLessThan(1_000)
    expect((await mcp!.request('tools/list')).error).toMatchObject({
      code: -32001,
      message: expect.stringContaining('not authorized') as string,
    })
    expect(await stays!.call('echo', { text: 'mine' })).toBe('mine')
    await writeFile(file, `${other!.peerId}\n${mac!.peerId}\n`)
    await expect.poll(async () => (await mcp!.request('ping')).result, { timeout: 10_000 }).toEqual({})
  })
})

test('--to unix: --introduce: the socket gets one line that says who was proved, then the frames', async () => {
  const [box, mac] = await bench.people(1)
  const socketPath = join(bench.folder, 'gate.sock')
  const lines: string[] = []
  const gate = createServer((socket) => {
    createInterface({ input: socket }).on('line', (line) => {
      lines.push(line)
      const { id } = JSON.parse(line) as { id?: number }
      if (id !== undefined) socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: {} })}\n`)
    })
  }).listen(socketPath)
  bench.undo(() => new Promise((resolve) => gate.close(resolve)))
  const serving = await bench.serve(
    box!.home,
    'mcp-serve',
    '--authorized-peer',
    mac!.peerId,
    '--to',
    `unix:${socketPath}`,
    '--introduce',
    ...local,
  )
  const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
  expect((await mcp.request('ping')).result).toEqual({})
  expect(JSON.parse(lines[0]!)).toEqual({
    fairlead: 1,
    peer: mac!.peerId,
    protocol: '/fairlead/wire/1',
    session: expect.stringMatching(/^[\w-]{24}$/) as string,
  })
  expect(lines[0]).toMatch(/^\{"fairlead":1,"peer":/)
  expect(lines).toHaveLength(2)
  mcp.process.stdin.end()
  await mcp.ended
})

test('on the wire there is nothing to read: neither what is said nor what it is about', async () => {
  const [box, mac] = await bench.people(1)
  const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...local)
  const { seen, address } = await bench.tap(serving)
  const mcp = bench.client(mac!.home, box!.peerId, '--address', address)
  await mcp.initialize()
  const text = 'Secret: the cache is under the third oak'
  expect(await mcp.call('echo', { text })).toBe(text)
  const bytes = seen()
  expect(bytes.length).toBeGreaterThan(500)
  for (const word of ['Secret', 'third oak', 'tools/call', 'jsonrpc', 'echo', 'initialize']) expect(bytes.includes(word)).toBe(false)
  expect(bytes.includes('/noise')).toBe(true) // the search itself can find something
})
