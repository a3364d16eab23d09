// Proves with a stranger's eyes on the network that what is said between peers cannot be read there; and that those eyes do see what is not encrypted.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, symlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from '../../src/base/supervise/processes.fixture.ts'
import { freePort } from '../kit/reach-bench.ts'
import { openSession } from '../kit/raw-client.ts'
import { later } from '../kit/cleanup.ts'
import { type Bed, bed, lineClient, up, within } from './bed.ts'

/** Why nothing can be captured here; undefined when it can. */
function obstacle(): string | undefined {
  try {
    execFileSync('tcpdump', ['-i', 'lo', '-c', '1', '-w', '/dev/null', '--immediate-mode', 'less 0'], { timeout: 500, stdio: 'pipe' })
    return undefined
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    if (code === 'ENOENT') return 'tcpdump is not installed'
    return stderr?.includes('listening on') ? undefined : `tcpdump may not capture: ${String(stderr).trim()}`
  }
}

const missing = obstacle()

type Capture = { stop(): Promise<Buffer> }

/** Captures what passes these ports of loopback, until `stop`. */
async function capture({ home }: Bed, name: string, ports: readonly number[]): Promise<Capture> {
  const file = join(home, `${name}.pcap`)
  const filter = ports.map((port) => `tcp port ${port}`).join(' or ')
  const child: ChildProcess = spawn(
    'tcpdump',
    ['-i', 'lo', '-s', '0', '-B', '16384', '-U', '--immediate-mode', '-Z', 'root', '-w', file, filter],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  later(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  let said = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text))
  await until('tcpdump listens', () => said.includes('listening on'))
  return {
    async stop() {
      child.kill('SIGINT')
      await within(5_000, 'the end of tcpdump', ended)
      expect(said).toMatch(/^0 packets dropped by kernel/m)
      return readFileSync(file)
    },
  }
}

test('of a call, its argument and its result nothing can be read at the peer port or the registry; at the gate, over plain HTTP, it can', async ({
  skip,
}) => {
  if (missing !== undefined) skip(missing) // refused in CI, as every skip is
  const place = bed()
  const [registry, peer, gate] = await Promise.all([freePort(), freePort(), freePort()])
  const encrypted = await capture(place, 'peers', [registry, peer])
  const plain = await capture(place, 'gate', [gate])

  // A process whose name is the marker: it is asked for by that name, and so it is in the argument and in the result.
  const marker = `mark${randomBytes(5).toString('hex')}`
  const link = join(place.home, marker)
  symlinkSync('/bin/sleep', link)
  const marked = spawn(link, ['600'])
  later(() => marked.kill('SIGKILL'))
  const node = await up(place, { registry, peer, gate })
  const client = lineClient(place, node)
  await within(15_000, 'initialize', client.initialize())
  const { result } = await within(15_000, 'the call', client.request('tools/call', { name: 'process_list', arguments: { name: marker } }))
  expect(result).toMatchObject({ structuredContent: { processes: [{ pid: marked.pid, name: marker }] } })
  client.process.stdin.end()
  await client.ended
  const session = await openSession(node.url('machine'), { token: node.token })
  const same = await (await session.call(1, 'process_list', { name: marker })).answer()
  expect(same.result).toMatchObject({ structuredContent: { processes: [{ pid: marked.pid, name: marker }] } })
  await node.stop('SIGTERM')

  const [secret, open] = [await encrypted.stop(), await plain.stop()]
  for (const word of [
    marker,
    'process_list',
    'tools/call',
    'structuredContent',
    'jsonrpc',
    'initialize',
    hostname().length > 5 ? hostname() : marker,
  ])
    expect({ word, isSeen: secret.includes(word) }).toEqual({ word, isSeen: false })
  expect(secret.includes('/noise')).toBe(true) // the negotiation before the handshake: the capture is of the right connections
  expect(secret.length).toBeGreaterThan(10_000)
  for (const word of [marker, 'process_list', 'tools/call']) expect(open.includes(word)).toBe(true)
  expect(open.indexOf(marker)).not.toBe(open.lastIndexOf(marker)) // in the argument and in the result
})
