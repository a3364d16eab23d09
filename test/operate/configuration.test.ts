// The one configuration of the machine's server and helper: who may change it, when it is read again, and that all who read it read the same.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { describe, expect, test } from 'vitest'
import { socketLink } from '../../src/operate/helper/socket-link.ts'
import { plainCall } from '../../src/operate/helper/memory-link.fixture.ts'
import processSignal from '../../src/operate/tools/process-signal.ts'
import { loadConfig } from '../../src/base/config/config.ts'
import schema from '../../src/operate/config.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { later } from '../kit/cleanup.ts'
import { Pair, clientOf, signalled, sleeper } from './pair.ts'

const shipped = resolve(import.meta.dirname, '../../deployment/machine/config.yml')
const python = '/usr/bin/python3'

describe('who may change it', () => {
  test('looser than 640, or secrets.env than 600: the server does not start under its own name', async () => {
    const pair = new Pair()
    pair.configure('server: {role: viewer}\n')
    const secrets = join(pair.home, 'config/secrets.env')
    writeFileSync(secrets, 'MCP_TOKEN=a-secret-of-some-length\n', { mode: 0o600 })
    chmodSync(pair.configFile, 0o660)
    await expect(pair.server()).rejects.toThrow(/exit code 2:.*its mode is 660, which is more than 640[\s\S]*chmod 640/)
    chmodSync(pair.configFile, 0o644)
    await expect(pair.server('--stdio')).rejects.toThrow(/its mode is 644/)
    chmodSync(pair.configFile, 0o640)
    chmodSync(secrets, 0o640)
    await expect(pair.server()).rejects.toThrow(/secrets\.env is not used: its mode is 640, which is more than 600/)
    chmodSync(secrets, 0o600)
    await (await pair.server()).stop()
    chmodSync(pair.configFile, 0o644)
    await (await pair.start(['operate', 'server', '--port', '0', '--json'])).stop() // somebody's own, by whatever umask
  })
})

describe('SIGHUP', () => {
  test('who comes in, from when it warns and whether it is real change at once; what cannot is named, and a bad file changes nothing', async () => {
    const pair = new Pair()
    pair.configure('server: {role: operator}\nhealth: {least_free_mb: 0}\n')
    const { child, result, told } = await pair.server()
    const { url, health } = result as { url: string; health: string }
    const reload = async (text: string, mode = 0o640): Promise<void> => {
      const before = told().split('"machine.reload').length
      pair.configure(text)
      chmodSync(pair.configFile, mode)
      child.kill('SIGHUP')
      await expect.poll(() => told().split('"machine.reload').length, { timeout: 10_000, interval: 20 }).toBeGreaterThan(before)
    }
    const disk = async () => ((await (await fetch(health)).json()) as { checks: Record<string, { ok: boolean }> }).checks['disk']!.ok
    const open = await clientOf(url)
    expect((await open.callTool({ name: 'manage_server_status' })).structuredContent).toMatchObject({ sandboxMode: 'disabled' })
    expect(await disk()).toBe(true)

    const token = join(pair.home, 'ops.token')
    writeFileSync(token, 'a-token-of-some-length', { mode: 0o600 })
    const closed = `server: {max_sessions: 5}
access: {tokens: {ops: {token: {file: HOME/ops.token}, role: admin}}}
health: {least_free_mb: 1000000}
testing: {sandbox_mode: full}
`
    await reload(closed)
    expect(told()).toMatch(/machine\.reload\.needs_restart.*server\.max_sessions/)
    await expect(open.callTool({ name: 'manage_server_status' })).rejects.toThrow(/credential|401/)
    await expect(clientOf(url)).rejects.toThrow(/credential|401/)
    const ops = await clientOf(url, 'a-token-of-some-length')
    expect((await ops.callTool({ name: 'manage_server_status' })).structuredContent).toMatchObject({ sandboxMode: 'full' })
    expect(await disk()).toBe(false)

    for (const [bad, mode] of [
      ['no_such_key: 1\n'],
      ['server: {}\n', 0o666],
      ['access: {tokens: {a: {token: {file: gone}, role: admin}}}\n'],
    ] as [string, number?][]) {
      await reload(bad, mode)
      expect(told().trim().split('\n').at(-1)).toContain('machine.reload.refused')
      await expect(clientOf(url)).rejects.toThrow(/credential|401/)
      expect((await ops.callTool({ name: 'manage_server_status' })).structuredContent).toMatchObject({ sandboxMode: 'full' })
    }
    await reload('server: {role: viewer}\n')
    expect((await (await clientOf(url)).callTool({ name: 'manage_server_status' })).structuredContent).toMatchObject({
      sandboxMode: 'disabled',
    })
  }, 60_000)
})

describe('the sandbox', () => {
  test("the runbook's sed, and the server alone started anew: both processes go by it, there and back", async () => {
    const pair = new Pair()
    const head = 'server: {role: operator}\nhelper:\n  ledger: HOME/ledger\n  server_max_role: operator\n  allow: {processes: [sleep]}\n'
    pair.configure(`${head}testing:\n  sandbox_mode: 'disabled'\n`)
    await pair.helper()
    const link = socketLink({ clock: systemClock, log: silentLog }, join(pair.home, 'run/ops-agent.sock'))
    later(() => link[Symbol.asyncDispose]())
    let server = await pair.server()
    const step = async (mode: string): Promise<void> => {
      execFileSync('sed', ['-i', `s/sandbox_mode:.*/sandbox_mode: "${mode}"/`, pair.configFile])
      await server.stop()
      server = await pair.server()
    }
    const child = sleeper()
    const call = async () => (await clientOf(server.result['url']!)).callTool(signalled(child.pid!))

    await step('full')
    expect(await call()).toMatchObject({ _meta: { 'fairlead/simulated': 'full' } })
    const marks: string[] = []
    const asked = { pid: child.pid!, name: 'sleep', signal: 'TERM' } as const
    await link.ask(processSignal, asked, plainCall({ simulated: (why) => void marks.push(why) }))
    expect(marks).toEqual(['full'])
    expect([child.exitCode, child.signalCode]).toEqual([null, null])

    await step('disabled')
    const real = await call()
    expect(real._meta?.['fairlead/simulated']).toBeUndefined()
    await expect.poll(() => child.signalCode).toBe('SIGTERM')
  }, 60_000)
})

describe('the one that is installed', () => {
  test('has one line of the sandbox, and is to us what it is to PyYAML, also after the sed', async () => {
    const pair = new Pair()
    const text = readFileSync(shipped, 'utf8')
    expect(text.match(/sandbox_mode:/g)).toHaveLength(1)
    for (const mode of [undefined, 'full', 'disabled']) {
      pair.configure(text)
      if (mode !== undefined) execFileSync('sed', ['-i', `s/sandbox_mode:.*/sandbox_mode: "${mode}"/`, pair.configFile])
      expect(statSync(pair.configFile).mode & 0o777).toBe(0o640)
      const { value } = await loadConfig({ schema, path: pair.configFile, isYaml11Too: true })
      const { stdout, stderr } = spawnSync(python, ['-c', 'import json,sys,yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'], {
        input: readFileSync(pair.configFile),
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] },
      })
      expect(stderr).toBe('')
      const theirs = JSON.parse(stdout) as { testing: { sandbox_mode: string } }
      expect(value).toEqual(schema.parse(theirs))
      expect(value.testing.sandbox_mode).toBe(mode ?? 'disabled')
      expect(theirs.testing.sandbox_mode).toBe(mode ?? 'disabled')
    }
  })
})
