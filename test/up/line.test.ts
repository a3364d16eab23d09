// Proves that nothing that is said to the line of a node, and no server behind its gate, can break it for the rest.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSession, send, textOf } from '../kit/raw-client.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type Up, bed, echoServer, lineClient, up, within } from './bed.ts'

const limitMs = 15_000
const maxFrameBytes = 8 << 20
const toml = `
[reach.peer]
max_frame_bytes = "64MiB"
[gate.upstreams.echo]
command = ${JSON.stringify(echoServer)}
[gate.upstreams.garbage]
command = ["yes", "garbage"]
[gate.upstreams.exits]
command = ["/bin/sh", "-c", "exit 3"]
[gate.upstreams.missing]
command = ["no-such-program"]
[gate.upstreams.silent]
command = ["sleep", "3600"]
request_timeout = "500ms"
`
const place = bed(toml)
let node: Up
beforeAll(async () => {
  node = await up(place)
  keep()
})
afterAll(cleanUp)

/** A call that is exactly so long. */
function callOf(id: number, sizeBytes: number): string {
  const [head, tail] = [`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"process_list","arguments":{"name":"`, '"}}}']
  return `${head}${'x'.repeat(sizeBytes - head.length - tail.length)}${tail}`
}

describe('frames from a raw client, through mcp-connect, tunnel and gate', () => {
  test('what is no message is answered, and the session lives on', async () => {
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    client.write('this is not JSON')
    client.write('{"jsonrpc":"2.0","id":901,"method":"ping"}{"jsonrpc":"2.0","id":902,"method":"ping"}')
    client.write('{"jsonrpc":"2.0","id":903}')
    client.write('[{"jsonrpc":"2.0","id":904,"method":"ping"}]')
    client.write('"\u0000"')
    const { result } = await within(limitMs, 'a call', client.request('tools/call', { name: 'system_get_basic_info', arguments: {} }))
    expect(result).toHaveProperty('structuredContent.hostname')
    expect(client.others.map(({ id, error }) => [id, error!.code])).toEqual([
      [null, -32700],
      [null, -32700],
      [903, -32600],
      [null, -32600],
      [null, -32700],
    ])
    for (const { error } of client.others) expect(error!.message.length).toBeGreaterThan(10)
  })

  test('a frame of one byte too many is answered, and the session lives on', async () => {
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    client.write(callOf(911, maxFrameBytes + 1))
    const { result } = await within(limitMs, 'a call', client.request('tools/call', { name: 'process_list', arguments: { limit: 1 } }))
    expect(result).toHaveProperty('structuredContent.total')
    await expect.poll(() => client.others, { timeout: limitMs }).toHaveLength(1)
    expect(client.others[0]).toMatchObject({
      id: 911,
      error: { code: -32000, message: expect.stringContaining(String(maxFrameBytes)) as string },
    })
  })

  test('the longest frame that may pass comes to the machine tools; that they take no such arguments is told under its id', async () => {
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    client.write(callOf(912, maxFrameBytes))
    expect((await within(limitMs, 'a call', client.request('ping'))).result).toEqual({})
    await expect.poll(() => client.others, { timeout: limitMs }).toHaveLength(1)
    expect(client.others[0]).toMatchObject({ id: 912, error: { message: 'the message is larger than 1048576 bytes' } })
  })

  test('a frame that only the gate is too small for is answered by the gate, and the session lives on', async () => {
    const client = lineClient(place, node, '--max-frame-bytes', '64MiB')
    await within(limitMs, 'initialize', client.initialize())
    client.write(callOf(913, maxFrameBytes + 1))
    await expect.poll(() => client.others, { timeout: limitMs }).toHaveLength(1)
    expect(client.others[0]).toMatchObject({
      id: 913,
      error: { code: -32000, message: `the message is larger than ${maxFrameBytes} bytes` },
    })
    expect((await within(limitMs, 'a call', client.request('ping'))).result).toEqual({})
  })

  test('1 MiB there and back', async () => {
    const session = await openSession(node.url('echo'), { token: node.token })
    const text = 'ü'.repeat(1 << 19)
    expect(textOf(await (await session.call(1, 'echo', { text })).answer()) === text).toBe(true)
  })
})

describe('a server behind the gate', () => {
  test.each([
    ['garbage', /garbage: not JSON/],
    ['exits', /the server exits ended/],
    ['missing', /missing cannot start: the command no-such-program was not found/],
    ['silent', /the server silent .*did not answer within 500 ms/],
  ])('that is %s: the client is told, and the others go on', async (upstream, message) => {
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
    })
    const answer = await (await send(node.url(upstream), { body, headers: { authorization: `Bearer ${node.token}` } })).answer()
    expect(answer).toMatchObject({ id: 1, error: { code: -32000, message: expect.stringMatching(message) as string } })
    expect(answer.error!.data).toMatchObject({ hint: expect.stringMatching(/\S/) as string })
    const session = await openSession(node.url('echo'), { token: node.token })
    expect(textOf(await (await session.call(2, 'echo', { text: 'on' })).answer())).toBe('on')
    const client = lineClient(place, node)
    await within(limitMs, 'initialize', client.initialize())
    expect((await within(limitMs, 'the tools', client.request('tools/list'))).result!.tools!.length).toBeGreaterThan(3)
  })
})
