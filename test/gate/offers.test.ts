// Servers that daemons offer, as upstreams of the gate: they come, change, fail and go with the daemon's word, and no call is lost by it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Offer } from '../../src/base/control/offers.ts'
import { later } from '../kit/cleanup.ts'
import { configure } from '../kit/gate.ts'
import { main } from '../kit/program.ts'
import * as raw from '../kit/raw-client.ts'
import { type Era, type RunningGate, eras, gateFor, ledgerLines, send, temporaryFolder, until } from './bed.ts'
import { gateCommand } from './connector-bed.ts'
import { fixtureOn } from './far-ends.ts'

const program = fileURLToPath(new URL('offering-daemon.ts', import.meta.url))

type Daemon = { readonly process: ChildProcess; offer(...offers: Offer[]): void }

async function daemonIn(folder: string): Promise<Daemon> {
  const child = spawn(process.execPath, [program, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  later(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return { process: child, offer: (...offers) => void child.stdin.write(`${JSON.stringify(offers)}\n`) }
}

const offerOf = (id: string, address: string, more: Partial<Offer> = {}): Offer => ({
  id,
  transport: 'http',
  address,
  health: 'ok',
  probe: 'none',
  digest: address,
  ...more,
})

const source = (folder: string, more = ''): string => `[gate.offers.far]\ncontrol = "${folder}"\n${more}`
const rules = '[[gate.rules]]\nprincipals = ["conformance"]\nupstreams = ["far-one"]\ntools = ["*"]\n'

const statusOf = async (gate: RunningGate, upstream: string): Promise<number> => (await send(gate.url(upstream), '{}')).status

async function health(gate: RunningGate): Promise<{ status: string; checks: Record<string, { ok: boolean; reason: string }> }> {
  return JSON.parse((await send(`http://127.0.0.1:${gate.port}/health`, undefined, { httpMethod: 'GET' })).text) as never
}

async function caller(gate: RunningGate, era: Era, upstream: string) {
  let id = 0
  const session = era === 'legacy' ? await raw.openSession(gate.url(upstream)) : undefined
  return async (tool: string, given: raw.Params = {}): Promise<string> => {
    const reply = session ? session.call(++id, tool, given) : raw.modernCall(gate.url(upstream), ++id, tool, given)
    return raw.textOf(await (await reply).answer())
  }
}

describe.each(eras)('%s clients', (era) => {
  test('an offer is an upstream for as long as it is made; calls that run end where they began', async () => {
    const folder = temporaryFolder()
    const daemon = await daemonIn(folder)
    const [first, second] = [await fixtureOn(), await fixtureOn()]
    const gate = await gateFor({ upstreams: { mine: { url: first.url } }, settings: `${rules}${source(folder)}` })
    expect(await statusOf(gate, 'far-one')).toBe(404)
    const ofAll = await raw.openSession(`http://127.0.0.1:${gate.port}/mcp`)
    const stream = await ofAll.get()
    later(() => stream.cut())
    daemon.offer(offerOf('Far/One', first.url))
    expect((await stream.next())!.method).toBe('notifications/tools/list_changed')
    const call = await caller(gate, era, 'far-one')
    expect(await call('echo', { text: 'there' })).toBe('there')

    const slow = () => call('slow', { ms: 1_500 })
    const running = async (count: number) =>
      until('it runs', () => ledgerLines(gate).filter((line) => line['name'] === 'slow' && line.event === 'call.begin').length === count)
    const before = slow()
    await running(1)
    daemon.offer(offerOf('Far/One', second.url))
    await until('it is taken', () => ledgerLines(gate).filter(({ event }) => event === 'reload').length === 2)
    expect(await before).toBe('waited 1500')
    await first.kill()
    expect(await call('echo', { text: 'elsewhere' })).toBe('elsewhere')

    const last = slow()
    await running(2)
    daemon.offer()
    await until('it is gone', async () => (await statusOf(gate, 'far-one')) === 404)
    expect(await last).toBe('waited 1500')
  }, 30_000)
})

test('a daemon that fails or ends marks its servers; they stay for as long as they may, and are there again with it', async () => {
  const folder = temporaryFolder()
  const daemon = await daemonIn(folder)
  const { url } = await fixtureOn()
  const gate = await gateFor({ upstreams: {}, settings: source(folder, 'keep = "2s"\n') })
  const call = await (async () => {
    daemon.offer(offerOf('one', url))
    await until('it is there', async () => (await statusOf(gate, 'one')) !== 404)
    return caller(gate, 'modern', 'one')
  })()
  expect((await health(gate)).status).toBe('ok')
  daemon.offer(offerOf('one', url, { health: 'failing', reason: 'its disk is full' }))
  await until('it is marked', async () => (await health(gate)).status === 'degraded')
  expect((await health(gate)).checks['upstream one']!.reason).toBe('far says that it fails: its disk is full')
  expect(await call('echo', { text: 'all the same' })).toBe('all the same')
  daemon.offer(offerOf('one', url))
  await until('it is well', async () => (await health(gate)).status === 'ok')

  daemon.process.kill('SIGKILL')
  await until('that is told', async () => (await health(gate)).checks['offers of far'] !== undefined)
  expect((await health(gate)).checks['upstream one']!.reason).toMatch(/far, which offers it, does not answer/)
  expect(await call('echo', { text: 'its server lives' })).toBe('its server lives')
  await until('it is given up', async () => (await statusOf(gate, 'one')) === 404)
  const next = await daemonIn(folder)
  next.offer(offerOf('one', url))
  await until('it is back', async () => (await statusOf(gate, 'one')) !== 404)
  expect(await call('echo', { text: 'again' })).toBe('again')
  await until('all is well', async () => (await health(gate)).status === 'ok')
}, 30_000)

test('a name that is taken, and an address that is not of this machine, are refused loudly; a file that is wrong keeps no offer out', async () => {
  const folder = temporaryFolder()
  const daemon = await daemonIn(folder)
  const { url } = await fixtureOn()
  const upstreams = { mine: { url } }
  const gate = await gateFor({ upstreams, settings: source(folder) })
  configure(gate.folder, { upstreams, settings: 'drain = "soon"\n', port: 0 })
  await until('that is told', async () => !(await health(gate)).checks['configuration']!.ok)
  const strange = ['https://elsewhere.example/mcp', 'http://10.0.0.1/mcp', 'http://a:b@127.0.0.1/mcp', 'file:///etc/passwd', 'nothing']
  daemon.offer(
    offerOf('mine', url),
    offerOf('---', url),
    offerOf('fine', url),
    offerOf('Fine', url),
    ...strange.map((address, at) => offerOf(`strange-${at}`, address)),
    offerOf('path', 'relative.sock', { transport: 'socket' }),
  )
  await until('it is there', async () => (await statusOf(gate, 'fine')) !== 404)
  const { reason } = (await health(gate)).checks['offers of far']!
  expect(reason).toContain('"mine" is no upstream: [gate.upstreams.mine] has that name')
  expect(reason).toContain('"Fine" is no upstream: another offer has the name fine')
  expect(reason).toContain('"---" is no upstream: no name')
  for (const at of strange.keys()) expect([at, await statusOf(gate, `strange-${at}`)]).toEqual([at, 404])
  expect(await statusOf(gate, 'path')).toBe(404)
  expect(gate.stderr.join('\n')).toMatch(/"level":"error","event":"gate.offer.refused"/)
  expect((await health(gate)).checks['configuration']!.ok).toBe(false) // what was offered has not mended it

  configure(gate.folder, { upstreams, port: 0 })
  expect(await gateCommand(gate, 'reload')).toMatchObject({ code: 0 })
  expect(await statusOf(gate, 'fine')).toBe(404)
}, 30_000)

test('the machine server of `fairlead operate server`, with a token that it demands, until it ends', async () => {
  const home = temporaryFolder()
  writeFileSync(join(home, 'token'), 'a-token-of-the-machine\n', { mode: 0o600 })
  writeFileSync(join(home, 'config.yml'), `server:\n  port: 0\n  runtime: ${home}/machine\n  token:\n    file: ${home}/token\n`)
  const start = () =>
    spawn(process.execPath, [main, 'operate', 'server', '--config', join(home, 'config.yml')], { stdio: ['ignore', 'pipe', 'ignore'] })
  const machine = start()
  later(() => machine.kill('SIGKILL'))
  await once(machine.stdout, 'data')
  const gate = await gateFor({ upstreams: {}, settings: source(`${home}/machine`, `token = { file = "${home}/token" }\nkeep = "0s"\n`) })
  await until('it is there', async () => (await statusOf(gate, 'machine')) !== 404)
  const answer = await (await raw.modernCall(gate.url('machine'), 1, 'system_get_basic_info')).answer()
  expect(answer.result!['structuredContent']).toMatchObject({ hostname: expect.any(String) as string })
  const second = start()
  let said = ''
  second.stdout.on('data', (text) => (said += String(text)))
  expect([(await once(second, 'exit'))[0], said]).toEqual([1, ''])
  machine.kill('SIGTERM')
  expect((await once(machine, 'exit'))[0]).toBe(0)
  await until('it is gone', async () => (await statusOf(gate, 'machine')) === 404)
}, 30_000)
