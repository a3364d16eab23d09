// What host, runners and the address say, in the runbook's words: by real processes.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { removeFolder } from '../../src/kernel/file.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

async function machine(env: Readonly<Record<string, string>>) {
  const home = await mkdtemp(join(tmpdir(), 'ms-'))
  later(() => removeFolder(home))
  return { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: home, ...env }
}

/** What a proxy says on stderr until it is ready; then it is stopped. */
async function said(env: Readonly<Record<string, string>>, flags: readonly string[] = []): Promise<string> {
  const child = spawn(process.execPath, [main, 'share', 'proxy', ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = new Promise((resolve) => child.once('exit', resolve))
  let [notes, ready] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (notes += chunk))
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (ready += chunk))
  try {
    await expect.poll(() => ready, { timeout: 25_000 }).toContain('is ready')
  } finally {
    child.kill()
    await exit
  }
  return notes
}

const missing = `⚠️  No bootstrap peers configured (set MCP_P2P_BOOTSTRAP_PEERS secret)
   Runners will not connect to MCP server for P2P cache sharing
`

test(
  'a runner without bootstrap peers says so, if it was to have any; a proxy that is alone by intent does not',
  { timeout: 60_000 },
  async () => {
    expect(await said(await machine({ MCP_P2P_BOOTSTRAP_PEERS: '' }))).toBe(missing)
    expect(await said(await machine({ CACHE_P2P_SHARED_SECRET: 'a secret' }))).toBe(missing)
    expect(await said(await machine({}))).toBe('')
  },
)

test('a host that does not answer is a time-out, and the runner works alone', { timeout: 60_000 }, async () => {
  const place = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => place.once('listening', resolve))
  const { port } = place.address() as AddressInfo
  await new Promise((resolve) => place.close(resolve))
  const address = `/ip4/127.0.0.1/tcp/${port}/p2p/12D3KooWGWk46jZ2jPAQoUfe96tvhAbfY2BFv46cnJFhSJYJsy9N`
  const token = 'ghp_a-token-in-the-place-of-a-secret'
  const notes = await said(await machine({ MCP_P2P_BOOTSTRAP_PEERS: address, GH_TOKEN: token }))
  expect(notes).toContain('\nConnecting to 1 bootstrap peer(s)...\n')
  expect(notes).toMatch(/^Timeout connecting to bootstrap peer \(.*ECONNREFUSED.*\); "fairlead share doctor" looks why\./m)
  expect(notes).toContain('CACHE_P2P_SHARED_SECRET is not set: GH_TOKEN is the secret')
  expect(notes).not.toContain('initialized')
  expect(notes).not.toContain(token)
})

test('the address is the same before and after, and what was said of it', async () => {
  const env = await machine({})
  const address = (...flags: string[]) =>
    execFileSync(process.execPath, [main, 'share', 'address', ...flags], { env, encoding: 'utf8', stdio: 'pipe' })
  const first = address('--public-ip', '203.0.113.42')
  expect(first).toMatch(/^\/ip4\/203\.0\.113\.42\/tcp\/9100\/p2p\/12D3KooW\w{44}\n$/)
  expect(address('--public-ip', '203.0.113.42')).toBe(first)
  expect(address('--public-ip', '2001:db8::7', '--port', '9200')).toBe(
    first.replace('/ip4/203.0.113.42/tcp/9100', '/ip6/2001:db8::7/tcp/9200'),
  )
  expect(() => address('--public-ip', 'example.org')).toThrow('no IP address')
})
