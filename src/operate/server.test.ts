// The machine server on this very machine: the official client in both eras over HTTP and over stdio, its answers held against what the system says by other ways.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterEach, describe, expect, test } from 'vitest'
import { readMetrics } from '../../test/kit/metrics.ts'
import { startMachine } from '../daemons/machine.ts'
import { tools } from '../extensions.ts'
import { systemClock } from '../kernel/clock.ts'
import { exec } from '../kernel/exec.ts'
import { createLog, silentLog } from '../kernel/log.ts'
import { Secret } from '../kernel/secret.ts'
import schema from './config.ts'
import type { Places } from './places.ts'
import type { MachineServer } from './server.ts'

const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' }
const system = async (...argv: [string, ...string[]]): Promise<string> => (await exec(argv, { env })).stdout.trim()
const main = join(import.meta.dirname, '../main.ts')
const eras = [
  ['2026-07-28', { mode: { pin: '2026-07-28' } }],
  ['2025-11-25', { mode: 'legacy' }],
] as const

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function places(): Places {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-machine-'))
  closing.unshift(async () => rmSync(folder, { recursive: true, force: true }))
  return { metrics: join(folder, 'metrics/metrics.db'), logs: join(folder, 'log'), secret: join(folder, 'audit.secret') }
}

async function start(config: object = {}, token?: Secret, log = silentLog): Promise<MachineServer> {
  const parsed = schema.parse(config)
  const server = await startMachine(
    { clock: systemClock, log, version: '0.0.1', tools },
    { config: { ...parsed, server: { ...parsed.server, port: 0 } }, places: places(), token },
  )
  closing.push(() => server.close())
  return server
}

async function callAll(client: Client): Promise<Record<string, Record<string, unknown>>> {
  const { tools: listed } = await client.listTools()
  const wanted = ['process_list', 'system_get_basic_info', 'system_get_health_snapshot', 'system_get_network_info']
  expect(listed.map(({ name }) => name)).toEqual(expect.arrayContaining(wanted))
  const answers: Record<string, Record<string, unknown>> = {}
  for (const { name, annotations, outputSchema } of listed.filter((one) => wanted.includes(one.name))) {
    expect(annotations).toMatchObject({ readOnlyHint: true })
    expect(outputSchema).toBeDefined() // the client checks every answer against it
    const answer = await client.callTool({ name, arguments: name === 'process_list' ? { limit: 500, sort: 'pid' } : {} })
    if (answer.isError) throw new Error(JSON.stringify(answer.content))
    answers[name] = answer.structuredContent as Record<string, unknown>
  }
  return answers
}

/** Every value is asked of the system by another way than the tools take. */
async function expectTrue(answers: Record<string, Record<string, unknown>>): Promise<void> {
  const info = answers['system_get_basic_info']!
  expect(info['hostname']).toBe(await system('hostname'))
  expect(info['kernel']).toBe(await system('uname', '-r'))
  expect(info['architecture']).toBe(await system('uname', '-m'))
  expect((info['cpu'] as { count: number }).count).toBe(Number(await system('getconf', '_NPROCESSORS_ONLN')))
  const totalKb = Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))![1])
  expect(info['memoryTotalBytes']).toBe(totalKb * 1024)
  expect(Math.abs((info['uptimeSeconds'] as number) - Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]))).toBeLessThan(30)

  const snapshot = answers['system_get_health_snapshot'] as {
    memory: { totalBytes: number; usedBytes: number }
    cpu: { overMs: number }
    disks: { path: string; totalBytes?: number }[]
  }
  expect(snapshot.memory.totalBytes).toBe(totalKb * 1024)
  expect(snapshot.cpu.overMs).toBeGreaterThanOrEqual(240)
  const rootBytes = Number((await system('df', '-B1', '--output=size', '/')).split('\n')[1])
  const rootDisk = snapshot.disks.find(({ path }) => path === '/')
  if (rootDisk) expect(rootDisk.totalBytes).toBe(rootBytes)

  const { interfaces } = answers['system_get_network_info'] as {
    interfaces: { name: string; mtu: number; addresses: { address: string }[] }[]
  }
  const lo = interfaces.find(({ name }) => name === 'lo')!
  expect(lo.addresses.map(({ address }) => address)).toContain('127.0.0.1')
  expect(lo.mtu).toBe(Number(readFileSync('/sys/class/net/lo/mtu', 'utf8')))

  const { processes } = answers['process_list'] as { processes: { pid: number; ppid: number; memoryBytes: number; startedAt: string }[] }
  const own = processes.find(({ pid }) => pid === process.pid)!
  expect(own.ppid).toBe(process.ppid)
  expect(own.memoryBytes).toBeGreaterThan(20e6)
  expect(Math.abs(Date.parse(own.startedAt) - (Date.now() - process.uptime() * 1_000))).toBeLessThan(3_000)
}

describe.each(eras)('over HTTP, protocol %s', (version, versionNegotiation) => {
  test('the four tools tell the truth about this machine', async () => {
    const { url } = await start()
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation })
    await client.connect(new StreamableHTTPClientTransport(new URL(url)))
    closing.push(() => client.close())
    expect(client.getNegotiatedProtocolVersion()).toBe(version)
    await expectTrue(await callAll(client))
  })
})

describe('as a process: fairlead operate server', () => {
  test.each(eras)('--stdio, protocol %s', async (version, versionNegotiation) => {
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation })
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [main, 'operate', 'server', '--stdio'],
      env: { ...env, HOME: '/nonexistent' },
      stderr: 'ignore',
    })
    await client.connect(transport)
    closing.push(() => client.close())
    expect(client.getNegotiatedProtocolVersion()).toBe(version)
    const info = await client.callTool({ name: 'system_get_basic_info' })
    expect((info.structuredContent as { hostname: string }).hostname).toBe(await system('hostname'))
  })

  test('--stdio answers what is piped into it, prints nothing else on stdout, and ends by itself', async () => {
    const input = [
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"pipe","version":"1"}}}',
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"system_get_health_snapshot"}}',
    ].join('\n')
    const { stdout, exitCode } = await exec([process.execPath, main, 'operate', 'server', '--stdio'], {
      env: { ...env, HOME: '/nonexistent' },
      input,
    })
    expect(exitCode).toBe(0)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: number }).id),
    ).toEqual([1, 2])
  })

  test('over HTTP until it is stopped', async () => {
    const { spawn } = await import('node:child_process')
    const home = mkdtempSync(join(tmpdir(), 'fairlead-machine-'))
    closing.push(async () => rmSync(home, { recursive: true, force: true }))
    const child = spawn(process.execPath, [main, 'operate', 'server', '--port', '0', '--json'], {
      env: { ...env, FAIRLEAD_HOME: home },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    closing.push(async () => child.kill('SIGKILL'))
    let printed = ''
    for await (const chunk of child.stdout) {
      printed += String(chunk)
      if (printed.trimEnd().endsWith('}')) break
    }
    const { health } = JSON.parse(printed) as { health: string }
    expect(await (await fetch(health)).json()).toMatchObject({ status: 'ok' })
    child.kill('SIGTERM')
    expect((await once(child, 'exit'))[0]).toBe(0)
  })
})

describe('health', () => {
  test('is told without a credential, with each check, and holds no secret', async () => {
    const { healthUrl, url } = await start({}, new Secret('not-to-be-seen'))
    const response = await fetch(healthUrl)
    const text = await response.text()
    expect(response.status).toBe(200)
    expect(JSON.parse(text)).toMatchObject({
      status: 'ok',
      version: '0.0.1',
      checks: { loop: { ok: true }, proc: { ok: true }, tools: { ok: true } },
    })
    expect(text).not.toContain('not-to-be-seen')
    expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401)
    expect((await fetch(healthUrl, { method: 'POST' })).status).toBe(405)
    expect((await fetch(healthUrl.replace('/health', '/elsewhere'))).status).toBe(404)
  })
  test('is 503 with the reason when the machine cannot be read or a tool cannot be loaded', async () => {
    const broken = { owner: 'operate', load: async () => Promise.reject(new Error('the file is damaged')) }
    const config = schema.parse({ server: { port: 0 } })
    const server = await startMachine(
      { clock: systemClock, log: silentLog, version: '0.0.1', tools: [broken], root: '/nonexistent' },
      { config, places: places() },
    )
    closing.push(() => server.close())
    const client = new Client({ name: 'test', version: '1' })
    await client.connect(new StreamableHTTPClientTransport(new URL(server.url)))
    closing.push(() => client.close())
    await expect(client.listTools()).rejects.toThrow(/the file is damaged/)
    const response = await fetch(server.healthUrl)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      status: 'unhealthy',
      checks: {
        proc: { ok: false, reason: expect.stringContaining('/proc/uptime') },
        tools: { ok: false, reason: expect.stringContaining('damaged') },
      },
    })
  })
})

test('/metrics is what Prometheus reads, for whoever may call a tool', async () => {
  const { healthUrl } = await start({}, new Secret('not-to-be-seen'))
  const url = healthUrl.replace('/health', '/metrics')
  expect((await fetch(url)).status).toBe(401)
  const text = await (await fetch(url, { headers: { authorization: 'Bearer not-to-be-seen' } })).text()
  const page = readMetrics(text)
  const totalBytes = Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) * 1024
  expect(page.get('fairlead_machine_memory_used_bytes')! / totalBytes).toBeCloseTo(page.get('fairlead_machine_memory_percent')! / 100, 1)
  expect(page.get('fairlead_machine_sampling')).toBe(1)
  expect(page.get('fairlead_build_info{version="0.0.1",node="' + process.versions.node + '"}')).toBe(1)
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  expect(checked.stdout + checked.stderr).toBe('')
})

test('an address that others reach needs a token; a busy port is a clear fault', async () => {
  await expect(
    startMachine(
      { clock: systemClock, log: silentLog, version: '1', tools },
      { config: schema.parse({ server: { host: '0.0.0.0', port: 0 } }), places: places() },
    ),
  ).rejects.toMatchObject({ code: 'operate.token_wanted' })
  const { url } = await start()
  const config = schema.parse({ server: { port: Number(new URL(url).port) } })
  await expect(
    startMachine({ clock: systemClock, log: silentLog, version: '1', tools }, { config, places: places() }),
  ).rejects.toMatchObject({
    code: 'http.port_busy',
  })
})

test('calls are logged with who, what and how it ended', async () => {
  const lines: Record<string, unknown>[] = []
  const { url } = await start(
    {},
    undefined,
    createLog((line) => lines.push(JSON.parse(line) as Record<string, unknown>), Date.now),
  )
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  closing.push(() => client.close())
  await client.callTool({ name: 'process_list', arguments: { cursor: 'bogus' } })
  expect(lines.filter(({ event }) => event === 'tool_call')).toMatchObject([
    { tool: 'process_list', principal: 'local', outcome: 'failed', code: 'operate.bad_cursor' },
  ])
})
