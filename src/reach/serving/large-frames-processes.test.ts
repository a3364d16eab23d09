// One limit along the whole line, with real processes: messages of 40 MiB both ways where it is raised, errors in their place where any hop has less, and the
// session lives on.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { McpClient } from '../../../test/kit/mcp-client.ts'
import { type ReachBench, type Service, echoCommand, freePort, local, reachBench } from '../../../test/kit/reach-bench.ts'

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

const MiB = 1 << 20
const limitOf = (size: string | undefined): string[] => (size === undefined ? [] : ['--max-frame-bytes', size])

async function line(
  here: string | undefined,
  there: string | undefined,
  server: readonly string[] = ['--command', echoCommand],
): Promise<{ mcp: McpClient; serving: Service }> {
  const [box, mac] = await bench.people(1)
  const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, ...server, ...limitOf(there), ...local)
  const mcp = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!, ...limitOf(here))
  await mcp.initialize()
  return { mcp, serving }
}

/** The most memory that a process had so far, in MiB (Linux: /proc). */
const peakMiB = (pid: number): number => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024

const tooLarge = { code: -32000, message: expect.stringMatching(/larger than \d+ bytes/) as string }

describe('max_frame_bytes', () => {
  test.each([
    ['a child for each session', ['--command', echoCommand]],
    ['a shared child', ['--shared', '--command', echoCommand]],
  ])('64 MiB at both ends: a result and an argument of 40 MiB, with %s', { timeout: 120_000 }, async (_, server) => {
    const { mcp, serving } = await line('64MiB', '64MiB', server)
    expect((await mcp.call('large', { sizeBytes: 40 * MiB })).length).toBe(40 * MiB)
    const text = 'y'.repeat(40 * MiB)
    expect((await mcp.call('echo', { text })) === text).toBe(true)
    for (const sizeBytes of [64 * MiB, 65 * MiB]) {
      expect((await mcp.request('tools/call', { name: 'large', arguments: { sizeBytes } })).error).toMatchObject(tooLarge)
      expect((await mcp.request('tools/call', { name: 'echo', arguments: { text: 'z'.repeat(sizeBytes) } })).error).toMatchObject(tooLarge)
    }
    expect(await mcp.call('echo', { text: 'alive' })).toBe('alive')
    for (const pid of [mcp.process.pid!, serving.pid]) expect(peakMiB(pid)).toBeLessThan(900)
  })

  test.each([
    ['the near end', undefined, '64MiB'],
    ['the far end', '64MiB', undefined],
    ['neither end', undefined, undefined],
  ])('8 MiB where %s has no more: errors in both directions, and the session lives on', { timeout: 60_000 }, async (_, here, there) => {
    const { mcp } = await line(here, there)
    const pid = await mcp.call('pid')
    expect((await mcp.request('tools/call', { name: 'large', arguments: { sizeBytes: 9 * MiB } })).error).toMatchObject(tooLarge)
    expect((await mcp.request('tools/call', { name: 'echo', arguments: { text: 'x'.repeat(9 * MiB) } })).error).toMatchObject(tooLarge)
    expect((await mcp.call('large', { sizeBytes: 7 * MiB })).length).toBe(7 * MiB)
    expect(await mcp.call('pid')).toBe(pid)
  })

  test(
    'clients that do not read: each request is answered in the end, if need be with an error, and the memory of the one in the middle stays bounded',
    { timeout: 120_000 },
    async () => {
      const [box, ...macs] = await bench.people(4)
      const who = macs.flatMap(({ peerId }) => ['--authorized-peer', peerId])
      const serving = await bench.serve(box!.home, 'mcp-serve', ...who, '--shared', '--command', echoCommand, ...limitOf('64MiB'), ...local)
      const clients = macs.map(({ home }) => bench.client(home, box!.peerId, '--address', serving.addresses[0]!, ...limitOf('64MiB')))
      await Promise.all(clients.map((mcp) => mcp.initialize()))
      const [reader, ...stalled] = clients
      for (const mcp of stalled) mcp.process.stdout.pause()
      const asked = stalled.flatMap((mcp) =>
        Array.from({ length: 5 }, () => mcp.request('tools/call', { name: 'large', arguments: { sizeBytes: 50 * MiB } })),
      )
      // all were carried out while nobody took an answer, and the others are none the worse for it
      const calls = async (): Promise<number> => (JSON.parse(await reader!.call('count')) as { calls: number }).calls
      await expect.poll(calls, { timeout: 60_000 }).toBeGreaterThan(15)
      expect(peakMiB(serving.pid)).toBeLessThan(700) // less than all the answers have
      for (const mcp of stalled) mcp.process.stdout.resume()
      let whole = 0
      for (const { result, error } of await Promise.all(asked)) {
        if (result) whole++
        else expect(error).toMatchObject({ code: -32000, message: expect.stringContaining('on their way already') as string })
      }
      expect(whole).toBeGreaterThan(0)
      expect(whole).toBeLessThan(15)
      expect((await reader!.call('large', { sizeBytes: 50 * MiB })).length).toBe(50 * MiB) // all that was taken is given back
    },
  )

  test('64 KiB is the least: a line of less passes', { timeout: 30_000 }, async () => {
    const { mcp } = await line('64KiB', '64KiB')
    expect((await mcp.call('large', { sizeBytes: 60_000 })).length).toBe(60_000)
    expect((await mcp.request('tools/call', { name: 'large', arguments: { sizeBytes: 70_000 } })).error).toMatchObject(tooLarge)
    expect(await mcp.call('echo', { text: 'alive' })).toBe('alive')
  })

  test('a server at a URL: its answers, as one body and as an event, and what is sent to it', { timeout: 60_000 }, async () => {
    const port = await freePort()
    const server = createServer((request, response) => {
      if (request.method !== 'POST') return void response.writeHead(405).end()
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        type Asked = { id?: unknown; params?: { name?: string; arguments?: { sizeBytes?: number; text?: string } } }
        const { id, params } = JSON.parse(Buffer.concat(chunks).toString()) as Asked
        if (id === undefined) return void response.writeHead(202).end()
        const given = params?.arguments
        const text = 'x'.repeat(given?.sizeBytes ?? given?.text?.length ?? 0)
        const answer = JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-06-18', content: [{ type: 'text', text }] } })
        if (params?.name !== 'event') return void response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`id: 0\ndata:\n\nid: 1\ndata: ${answer}\n\n`)
      })
    }).listen(port, '127.0.0.1')
    bench.undo(() => server.close())
    const { mcp } = await line('64MiB', '32MiB', ['--to', `http://127.0.0.1:${port}/`])
    for (const name of ['body', 'event']) {
      expect((await mcp.call(name, { sizeBytes: 30 * MiB })).length).toBe(30 * MiB)
      expect((await mcp.request('tools/call', { name, arguments: { sizeBytes: 33 * MiB } })).error).toMatchObject(tooLarge)
    }
    expect((await mcp.call('body', { text: 'x'.repeat(30 * MiB) })).length).toBe(30 * MiB)
    expect((await mcp.request('tools/call', { name: 'body', arguments: { text: 'x'.repeat(33 * MiB) } })).error).toMatchObject(tooLarge)
    expect(await mcp.call('body', { text: '' })).toBe('')
  })
})
