// Proves `fairlead up` from outside: what it prints is this machine's, came the whole way, and can be used as it stands.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { until } from '../../src/base/supervise/processes.fixture.ts'
import type { Shown } from '../../src/commands/up/screen.ts'
import { later } from '../kit/cleanup.ts'
import { type Bed, bed, finished, orphans, portFlags, program, run, up } from './bed.ts'

const once = ['up', '--once', ...portFlags()]
const memTotalBytes = Number(/MemTotal:\s*(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) * 1024

type Entry = {
  readonly event: string
  readonly method?: string
  readonly tool?: string
  readonly principal?: string
  readonly via?: string
}

/** What the gate has recorded, read without our own code. */
function recorded({ home }: Bed): Entry[] {
  const folder = join(home, 'state', 'gate', 'ledger')
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
  return files.flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n')).map((line) => JSON.parse(line) as Entry)
}

/** All that a wallet's or token's file holds. */
function secrets({ home }: Bed): string[] {
  const names = ['reach/wallet.json', 'local-client/wallet.json', 'reach/registry/wallet.json', 'owner.token', 'machine.token']
  return names.map((name) => readFileSync(join(home, 'state', name), 'utf8'))
}

describe('--once', () => {
  test('prints what this machine is, for a person, and ends with 0; a second run is the same node', async () => {
    const place = bed()
    const { exitCode, stdout, stderr } = await run(place, once)
    expect({ exitCode, stderr: stderr.match(/fairlead: .*/g) }).toEqual({ exitCode: 0, stderr: null })
    expect(`${stdout}${stderr}`).not.toContain('\u001B')
    expect(stderr).not.toContain('starting')
    expect(stdout).toContain(`${hostname()}, up `)
    expect(stdout).toContain(release())
    const gibibytes = memTotalBytes / 2 ** 30
    expect(stdout).toContain(`of ${gibibytes.toFixed(gibibytes >= 99.95 ? 0 : gibibytes >= 9.995 ? 1 : 2)} GiB in use`)
    expect(stdout).toContain('client → reach mcp-connect → tunnel → gate → machine tools')
    expect(stdout).toMatch(/gate \(access, record\) +\d+\.\d ms +[+−]\d+\.\d ms/)
    expect(stdout).not.toContain('Ctrl-C')
    const lines = stdout.trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(40)
    for (const line of lines.filter((each) => !each.includes(place.home) && !each.includes(program[1])))
      expect(line.length).toBeLessThanOrEqual(100)
    const first = secrets(place)
    await run(place, once)
    expect(secrets(place)).toEqual(first)
    await until('no process is left', () => orphans().length === 0)
  })

  test('--json: one object and nothing else on stdout, with every hop; each call is in the record', async () => {
    const place = bed()
    const { exitCode, stdout } = await run(place, [...once, '--json'])
    expect(exitCode).toBe(0)
    const shown = JSON.parse(stdout) as Shown
    expect(shown).toMatchObject({ ok: true, peerId: expect.stringMatching(/^12D3KooW/) as string })
    expect(shown.results['system_get_basic_info']).toMatchObject({
      hostname: hostname(),
      kernel: release(),
      memoryTotalBytes: memTotalBytes,
    })
    expect(shown.results['system_get_health_snapshot']).toMatchObject({ memory: { totalBytes: memTotalBytes } })
    const { time } = shown.results['system_get_health_snapshot'] as { time: string }
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000)
    expect(shown.hops.map(({ hop }) => hop)).toEqual(['machine tools', 'gate (access, record)', 'mcp-connect (tunnel)'])
    for (const { callMs } of shown.hops) expect(callMs).toBeGreaterThan(0)
    expect(shown.firstAnswerMs).toBeGreaterThan(0)
    const begun = recorded(place).filter(({ event, method }) => event === 'call.begin' && method === 'tools/call')
    expect(new Set(begun.map(({ principal }) => principal))).toEqual(new Set(['owner']))
    expect(begun.filter(({ via }) => via === 'peer').length).toBe(11)
    expect(begun.filter(({ via }) => via === 'token').length).toBe(9)
    const verified = await run(place, ['gate', 'ledger', 'verify', '--json'])
    expect(verified.exitCode).toBe(0)
    const { entries } = JSON.parse(verified.stdout) as { entries: number }
    expect(JSON.parse(verified.stdout)).toMatchObject({
      intact: true,
      checkpoint: entries,
      durability: { written: entries, synced: entries },
    })
    expect((await run(place, ['gate', 'ledger', 'drop', '--keep', '0'])).stdout).toContain('nothing was dropped')
    for (const words of [['drop'], ['verify', '--keep', '1'], ['forget']])
      expect((await run(place, ['gate', 'ledger', ...words])).exitCode).toBe(2)
  })

  test('a line that is broken: exit code 5, and the reason that the broken part gave', async () => {
    const { exitCode, stdout, stderr } = await run(bed('[gate]\nmax_sessions = 1\n'), once)
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' })
    expect(stderr).toMatch(/^fairlead: error: the call through the gate failed: there are 1 sessions already/m)
    expect(stderr).toMatch(/^fairlead: hint: \S/m)
  })

  test('on a terminal: each step is shown and cleared away, and of the log only what needs attention', async () => {
    const { env } = bed()
    const line = [...program, ...once].map((word) => `'${word}'`).join(' ')
    const shown = await finished(
      spawn('script', ['-qfec', line, '/dev/null'], { env: { ...env, TERM: 'xterm' }, stdio: ['ignore', 'pipe', 'pipe'] }),
    )
    expect(shown.exitCode).toBe(0)
    for (const step of ['starting the registry', 'starting the peer host', 'calling through the whole line', 'calling at each hop'])
      expect(shown.stdout).toContain(`${step}\r\u001B[K`)
    expect(shown.stdout).toContain('\u001B[1m')
    expect(stripVTControlCharacters(shown.stdout)).not.toContain('"level":"info"')
  })
})

test('what it prints to paste into a client works with the official one, over stdio and over HTTP', async () => {
  const place = bed()
  const child = spawn(program[0], [program[1], 'up', ...portFlags()], { env: { ...place.env }, stdio: ['ignore', 'pipe', 'pipe'] })
  later(() => child.kill('SIGKILL'))
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text))
  child.stderr.resume()
  await until('it is ready', () => screen.includes('ready: Ctrl-C stops it'), 20_000)
  const { mcpServers } = JSON.parse(/\{ "mcpServers"[\s\S]*?\n {4}\} \} \}/.exec(screen)![0]) as Shown['client']
  const overStdio = new StdioClientTransport({
    ...mcpServers['this-machine']!,
    args: [...mcpServers['this-machine']!.args],
    env: { PATH: '/usr/bin:/bin' },
    stderr: 'ignore',
  })
  const [, url, tokenFile] = /or over HTTP: (\S+)\n.*token in (\S+)/.exec(screen)!
  const headers = { authorization: `Bearer ${readFileSync(tokenFile!, 'utf8').trim()}` }
  for (const transport of [overStdio, new StreamableHTTPClientTransport(new URL(url!), { requestInit: { headers } })]) {
    const client = new Client({ name: 'test', version: '1' })
    later(() => client.close())
    await client.connect(transport)
    const { structuredContent } = await client.callTool({ name: 'system_get_network_info', arguments: {} })
    expect((structuredContent as { interfaces: { name: string }[] }).interfaces.map(({ name }) => name)).toContain('lo')
    await client.close()
  }
})

test('ports that are given as 0 are free ones, told as they are; others are taken as given', async () => {
  const { shown, ports } = await up(bed())
  expect(new Set(Object.values(ports)).size).toBe(4)
  for (const port of Object.values(ports)) expect(port).toBeGreaterThan(1023)
  expect((await (await fetch(shown.addresses.health)).json()) as object).toMatchObject({ status: 'ok' })
})

test('a sealed wallet is opened by the credential that fairlead.toml names, and by nothing less', async () => {
  const node = bed('[reach.peer]\npassphrase = { env = "NODE_PASSPHRASE" }\n')
  const passphrase = { NODE_PASSPHRASE: 'node-Marker-27' }
  expect((await run(node, ['reach', 'init', '--name', 'sealed', '--passphrase-env', 'NODE_PASSPHRASE'], passphrase)).exitCode).toBe(0)
  const opened = await run(node, once, passphrase)
  expect(opened.exitCode, opened.stderr).toBe(0)
  expect(opened.stdout + opened.stderr).not.toContain('Marker')
  expect(await run(node, once)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('NODE_PASSPHRASE') as string })
})
