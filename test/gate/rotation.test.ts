// A rotation as its operator, its holder and a stranger in between see it: killed at any moment, there is always a credential that the gate takes, and never one that had ended.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, hash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { atTerminal } from '../kit/at-terminal.ts'
import { runKilled } from '../kit/kill-points.ts'
import { main } from '../kit/program.ts'
import { type Line, type RunningGate, gateFor, ledgerLines, temporaryFolder, until } from './bed.ts'
import { ask, gateCommand, handshake, handshakeBody, issue, openSession, startCommand, statesOf } from './connector-bed.ts'

const isLong = process.env['FAIRLEAD_LONG'] === '1'
const rounds = isLong ? 200 : 12
const id = 'operator_api'

const fingerprint = (token: string): string => hash('sha256', token, 'hex').slice(0, 16)
const tokenIn = (file: string): string => readFileSync(file, 'utf8').trim()

type Sight = { readonly at: number; readonly answers: Readonly<Record<string, number>> }

/** The separate prober; `sights` is all that it saw. */
function startProber(gate: RunningGate, file: string): { readonly sights: Sight[]; stop(): Promise<void> } {
  const child = spawn(process.execPath, [fileURLToPath(new URL('prober.ts', import.meta.url)), String(gate.port), file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const sights: Sight[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    sights.push(...lines.map((line) => JSON.parse(line) as Sight))
  })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  later(stop)
  return { sights, stop }
}

/** A holder that hand-shakes with whatever its file holds, again and again, as one that looks for a new credential. */
function startHolder(gate: { readonly port: number }, file: string): { stop(): Promise<void> } {
  const over = new AbortController()
  let last = ''
  const running = (async () => {
    while (!over.signal.aborted) {
      const token = tokenIn(file)
      if (token !== last) {
        const answer = await handshake(gate, token, handshakeBody(id)).catch(() => undefined)
        if (answer?.status === 200) last = token
      }
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
  })()
  const stop = async (): Promise<void> => {
    over.abort()
    await running
  }
  later(stop)
  return { stop }
}

/** What the prober saw must never be: nothing that holds, or what had ended holding again. */
function judge(sights: readonly Sight[]): { readonly whole: number } {
  const [taken, over] = [new Set<string>(), new Set<string>()]
  let whole = 0
  for (const { at, answers } of sights) {
    const all = Object.entries(answers)
    for (const [one, status] of all) {
      if (status === 200 && over.has(one)) throw new Error(`${one} had ended, and was taken at ${at}`)
      if (status === 200) taken.add(one)
      else if (status === 401 && taken.has(one)) over.add(one)
      else if (status !== 401 && status !== 0) throw new Error(`${status} at ${at}`)
    }
    // The oldest is shown first: had it ended by then, its successor held before.
    if (all.length === 0 || all.some(([, status]) => status === 0)) continue
    whole++
    if (!all.some(([, status]) => status === 200))
      throw new Error(
        `nothing was taken at ${at}: ${all.map(([one]) => `${one} ${over.has(one) ? 'had ended' : 'was never taken'}`).join(', ')}`,
      )
  }
  return { whole }
}

/** The rotation ledger, checked by other means than our own. */
function drillsIn(folder: string): Record<string, unknown>[] {
  let last: string | undefined
  const text = readFileSync(join(folder, 'state', 'logs', 'stage_b_rotation_drills.jsonl'), 'utf8')
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const entry = JSON.parse(line) as Line
      const found = createHash('sha256').update('fairlead-ledger/1\n').update(line.slice(0, -54)).digest('base64url')
      if (found !== entry.hash || (last !== undefined && entry.prev !== last)) throw new Error(`entry ${entry.seq} is in no chain`)
      last = entry.hash
      return entry
    })
}

function exitOf(child: ChildProcess): Promise<number> {
  return once(child, 'close').then(([code]) => code as number)
}

async function bed() {
  const folder = temporaryFolder()
  const gate = await gateFor({ upstreams: {}, access: '', folder })
  const { token, file } = await issue(gate, id)
  return { folder, gate, token, file }
}

test('G16: the old one ends when the new one is in use and the old one is not, with proof on record', async () => {
  const { folder, gate, token: old, file } = await bed()
  const session = await openSession(gate, old, id)
  const command = startCommand(gate, 'rotate', id, '--out', file, '--overlap', '1m')
  later(() => command.kill('SIGKILL'))
  const ended = exitOf(command)
  await until('the file holds the new one', () => tokenIn(file) !== old)
  const fresh = tokenIn(file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const taken = async (token: string): Promise<number> => (await ask(gate, '/connectors', { method: 'GET', token })).status
  expect([await taken(old), await taken(fresh)]).toEqual([200, 200])
  expect((await statesOf(gate))[id]).toMatchObject({
    fingerprint: fingerprint(old),
    rotation: { fingerprint: fingerprint(fresh), proved: false },
  })
  expect(drillsIn(folder).map(({ kind }) => kind)).toEqual(['rotation']) // the first issue: nothing more without proof
  // Another instance proves it; the first one still uses the old one, and is waited for.
  const other = handshakeBody(id, { identity: { connector_id: id, version: '1', instance: 'second' } })
  expect((await handshake(gate, fresh, other)).status).toBe(200)
  expect((await statesOf(gate))[id]).toMatchObject({ rotation: { proved: true } })
  expect([await taken(old), command.exitCode]).toEqual([200, null])
  await openSession(gate, fresh, id)
  expect(await ended).toBe(0)
  expect([await taken(old), await taken(fresh)]).toEqual([401, 200])
  const told = await handshake(gate, old, handshakeBody(id))
  expect(told).toMatchObject({ status: 401, body: { authenticated: false, error: { code: 'gate.credential_ended' } } })
  expect(told.text).toContain('is rotated since')
  expect((await ask(gate, '/heartbeat', { token: old, session: session.id, body: '{}' })).status).toBe(401)
  expect(readdirSync(folder).filter((name) => name.startsWith('operator_api'))).toEqual(['operator_api.token'])
  const [first, second] = drillsIn(folder)
  expect(first).toMatchObject({ kind: 'rotation', fingerprint: { before: null, after: fingerprint(old) } })
  expect(second).toMatchObject({
    connector_id: id,
    window_hours: 48,
    kind: 'rotation',
    fingerprint: { before: fingerprint(old), after: fingerprint(fresh) },
  })
  const { rotated_at: rotatedAt } = (await statesOf(gate))[id]!
  expect(second!['rotated_at']).toBe(rotatedAt)
  const steps = ledgerLines(gate).flatMap(({ event }) => (event?.startsWith('rotation.') ? [event] : []))
  expect(steps.slice(-3)).toEqual(['rotation.offered', 'rotation.proved', 'rotation.ended'])
})

test('G16: a holder that never comes: the new one is taken back, the file is as it was, and no rotation is on record', async () => {
  const { folder, gate, token: old, file } = await bed()
  const { code, stderr } = await gateCommand(gate, 'rotate', id, '--out', file, '--overlap', '1s')
  expect([code, stderr.includes('no holder hand-shook with the new credential of operator_api')]).toEqual([5, true])
  expect(tokenIn(file)).toBe(old)
  expect((await ask(gate, '/connectors', { method: 'GET', token: old })).status).toBe(200)
  expect(drillsIn(folder).map(({ kind }) => kind)).toEqual(['rotation'])
  expect(readdirSync(folder).filter((name) => name.startsWith('operator_api'))).toEqual(['operator_api.token'])
})

test('two rotations of one connector at once: the second one is refused, and changes nothing', async () => {
  const { gate, token: old, file, folder } = await bed()
  const first = startCommand(gate, 'rotate', id, '--out', file, '--overlap', '1m')
  later(() => first.kill('SIGKILL'))
  await until('the file holds the new one', () => tokenIn(file) !== old)
  const fresh = tokenIn(file)
  const other = join(folder, 'other.token')
  expect(await gateCommand(gate, 'rotate', id, 'crown_handshake', '--out', other)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is being rotated'),
  })
  expect(await gateCommand(gate, 'rotate', id, '--out', file)).toMatchObject({ code: 1 }) // the first command still waits
  expect([existsSync(other), tokenIn(file)]).toEqual([false, fresh])
  first.kill('SIGKILL')
  await once(first, 'close')
  await openSession(gate, fresh, id)
  expect((await gateCommand(gate, 'rotate', id, '--out', file)).code).toBe(0) // goes on with the one that was stopped
  expect(tokenIn(file)).toBe(fresh)
})

test(`G16: ${rounds} random SIGKILLs of the gate, under the eyes of a prober`, { timeout: isLong ? 3_600_000 : 240_000 }, async () => {
  const started = await bed()
  const { folder, file } = started
  let { gate } = started
  const { port } = gate
  const prober = startProber(gate, file)
  const holder = startHolder({ port }, file)
  let done = 0
  for (let round = 0; round < rounds; round++) {
    const old = tokenIn(file)
    const command = startCommand(gate, 'rotate', id, '--out', file, '--overlap', '20s')
    later(() => command.kill('SIGKILL'))
    const ended = exitOf(command)
    const delayMs = Math.random() * 250
    await until('the rotation is under way', () => existsSync(`${file}.next`) || tokenIn(file) !== old || command.exitCode !== null)
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    await gate.stop('SIGKILL')
    gate = await gateFor({ upstreams: {}, access: '', folder, port })
    const code = await ended
    if (code === 0) done++
    const isNew = tokenIn(file) !== old
    expect([round, delayMs, code, isNew]).toEqual([round, delayMs, isNew ? 0 : 5, isNew])
    expect((await ask(gate, '/connectors', { method: 'GET', token: tokenIn(file) })).status).toBe(200)
    if (isNew) expect((await ask(gate, '/connectors', { method: 'GET', token: old })).status).toBe(401)
  }
  await Promise.all([prober.stop(), holder.stop()])
  const { whole } = judge(prober.sights)
  expect(whole).toBeGreaterThan(rounds * 5)
  expect(done).toBeGreaterThan(0)
  expect(drillsIn(folder).filter(({ kind }) => kind === 'rotation')).toHaveLength(done + 1)
  // Each that was begun has exactly one end.
  const events = ledgerLines(gate).filter(({ event }) => event?.startsWith('rotation.'))
  const ends = Map.groupBy(events, ({ rotation }) => rotation as string)
  for (const [rotation, all] of ends) {
    const names = all.map(({ event }) => event)
    const isProved = names.includes('rotation.proved')
    expect([rotation, names]).toEqual([
      rotation,
      isProved ? ['rotation.offered', 'rotation.proved', 'rotation.ended'] : ['rotation.offered', 'rotation.withdrawn'],
    ])
  }
})

test('a credential is printed once, on a terminal, when that is asked for', async () => {
  const gate = await gateFor({ upstreams: {}, access: '' })
  const argv = [process.execPath, main, 'gate', 'rotate', 'crown_handshake', '--print', '--config', join(gate.folder, 'fairlead.toml')]
  const { exitCode, shown } = await atTerminal(argv, { PATH: process.env['PATH']!, HOME: gate.folder }, [])
  const token = /flc_[A-Za-z0-9_-]{43}/.exec(shown)?.[0]
  expect([exitCode, token]).toEqual([0, expect.any(String)])
  expect((await ask(gate, '/connectors', { method: 'GET', token })).status).toBe(200)
})

test('a gate that is stopped in good order leaves a rotation as it is; the next one goes on with it', async () => {
  const { gate, token: old, file, folder } = await bed()
  const command = startCommand(gate, 'rotate', id, '--out', file, '--overlap', '1m')
  later(() => command.kill('SIGKILL'))
  const ended = exitOf(command)
  await until('the file holds the new one', () => tokenIn(file) !== old)
  const fresh = tokenIn(file)
  gate.process.kill('SIGTERM')
  expect((await once(gate.process, 'exit'))[0]).toBe(0)
  const next = await gateFor({ upstreams: {}, access: '', folder, port: gate.port })
  for (const token of [old, fresh]) expect((await ask(next, '/connectors', { method: 'GET', token })).status).toBe(200)
  await openSession(next, fresh, id)
  expect(await ended).toBe(0)
  expect((await ask(next, '/connectors', { method: 'GET', token: old })).status).toBe(401)
})

const handOverFixture = fileURLToPath(new URL('hand-over.fixture.ts', import.meta.url))

test(
  'G16: the operator’s command killed at every moment: the file always holds a credential that the gate takes',
  { timeout: 240_000 },
  async () => {
    const { gate, folder, file } = await bed()
    startHolder(gate, file)
    let wasKilled = true
    let points = 0
    for (; wasKilled; points++) {
      const old = tokenIn(file)
      const killed = await runKilled([handOverFixture, folder, file, String(points)])
      wasKilled = killed === null
      expect([points, (await ask(gate, '/connectors', { method: 'GET', token: tokenIn(file) })).status]).toEqual([points, 200])
      const isBegun = readdirSync(folder).some((name) => name.endsWith('.plan.json'))
      if (wasKilled && isBegun) expect([points, await runKilled([handOverFixture, folder, file, '-1'])]).toEqual([points, 0])
      expect([points, (await ask(gate, '/connectors', { method: 'GET', token: tokenIn(file) })).status]).toEqual([points, 200])
      if (isBegun || !wasKilled) expect([points, tokenIn(file) === old]).toEqual([points, false])
      expect([points, readdirSync(folder).filter((name) => name.startsWith('operator_api'))]).toEqual([points, ['operator_api.token']])
    }
    expect(points).toBe(5 * 3 + 1 + 1)
  },
)
