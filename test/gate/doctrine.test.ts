// The doctrine cannot be fooled: for each of its checks exactly that condition is broken, at a real gate or on its real files, and the report names it, with exit code 1.
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addDrills, drillOf } from '../../src/gate/connector/drills.ts'
import { systemClock as clock } from '../../src/kernel/clock.ts'
import { silentLog as log } from '../../src/kernel/log.ts'
import { cleanUp, keep, later } from '../kit/cleanup.ts'
import { tokenHash } from '../../src/base/access/principal.ts'
import { configure } from '../kit/gate.ts'
import { ledgerLines, modern, until } from './bed.ts'
import { type ListingServer, listingServer, tool } from './doors.ts'
import { ask, connectorIds, handshake, handshakeBody, heartbeatBody, openSession } from './connector-bed.ts'
import {
  type Ended,
  type Report,
  type StageBed,
  consoleOf,
  drillLines,
  failed,
  gateIn,
  receiptsIn,
  reportIn,
  stageBed,
} from './stage-bed.ts'

let bed: StageBed
let far: ListingServer
const access = `[gate.principals.ann]\ntoken_sha256 = "${tokenHash('ann')}"\n[[gate.rules]]\nprincipals = ["ann"]\nupstreams = ["*"]\ntools = ["*"]\n`
const drills = (): string => join(bed.logs, 'stage_b_rotation_drills.jsonl')

beforeAll(async () => {
  far = listingServer([tool('read')])
  bed = await stageBed(access, { up: far })
  keep()
}, 120_000)
afterAll(cleanUp)

const held = new Map<string, { readonly id: string; readonly credential_expiry: string }>()

/** All three alive and beating, as their services keep them, when `look` looks. */
async function alive(look: () => Promise<Ended>): Promise<Ended> {
  for (const connector of connectorIds) {
    const session = held.get(connector) ?? (await openSession(bed.gate, bed.token, connector))
    held.set(connector, session)
    const chakra = connector === 'crown_handshake' ? 'crown' : 'operator'
    const body = JSON.stringify(heartbeatBody(session.credential_expiry, { chakra }))
    expect((await ask(bed.gate, '/heartbeat', { token: bed.token, session: session.id, body })).status).toBe(200)
  }
  return look()
}

const doctrine = (change: Readonly<Record<string, string>> = {}): Promise<Ended> => consoleOf(bed, change)('doctrine', '--json')

/** Exit code, and the checks that failed. */
const verdict = (ended: Ended): [number, string[]] => [ended.code, failed(reportIn(ended))]

/** Changes a file, and puts it back. */
async function changed<T>(file: string, change: (text: string) => string, look: () => Promise<T>): Promise<T> {
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, change(text))
  try {
    return await look()
  } finally {
    writeFileSync(file, text)
  }
}

/** Puts the whole folder back as it was. */
async function restored<T>(look: () => Promise<T>): Promise<T> {
  const copy = `${bed.logs}-before`
  cpSync(bed.logs, copy, { recursive: true })
  try {
    return await look()
  } finally {
    rmSync(bed.logs, { recursive: true })
    cpSync(copy, bed.logs, { recursive: true })
    rmSync(copy, { recursive: true })
  }
}

/** In front of the gate; `meddle` may answer in its place, or change its answer. */
async function between(
  meddle: (path: string, answer: Record<string, unknown>) => Record<string, unknown>,
  keeps: readonly string[] = [],
): Promise<string> {
  const server = createServer((incoming: IncomingMessage, response) => {
    const path = incoming.url!
    const done = (text: string, status: number): void => {
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify(meddle(path, JSON.parse(text) as Record<string, unknown>)))
    }
    if (keeps.includes(path)) return void incoming.resume().on('end', () => done('{}', 200))
    const onward = httpRequest(
      { port: bed.gate.port, path, method: incoming.method, headers: { ...incoming.headers, host: 'localhost' } },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => (text += part))
        answer.on('end', () => done(text, answer.statusCode!))
      },
    )
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('sessions: there are none; heartbeats: of none comes one', async () => {
  expect((await consoleOf(bed)('smoke')).code).toBe(0)
  expect(verdict(await doctrine())).toEqual([1, ['heartbeats', 'sessions']])
})

test('all is good, with the credential over HTTP, and without one over the socket of the gate', async () => {
  const findings = async (change: Record<string, string>) => {
    const { code, stdout } = await alive(() => doctrine(change))
    return { code, failures: (JSON.parse(stdout) as Report).doctrine_failures }
  }
  expect(await findings({})).toEqual({ code: 0, failures: [] })
  expect(await findings({ MCP_CONNECTOR_TOKEN: '' })).toEqual({ code: 0, failures: [] })
  const { stdout } = await alive(() => consoleOf(bed)('doctrine'))
  expect(stdout).toMatch(/^VERDICT +CHECK +EVIDENCE\n/)
  expect(stdout).toMatch(/\d+ good, 0 bad, 0 unknown\n$/)
})

test('every check there is, is broken below', () => {
  const page = readFileSync(import.meta.filename, 'utf8')
  const list = readFileSync(join(import.meta.dirname, '../../src/extensions.ts'), 'utf8')
  const names = [...list.matchAll(/gate\/checks\/([\w-]+)/g)].map(([, name]) => name!)
  expect(names.length).toBeGreaterThan(10)
  expect(names.filter((name) => !page.includes(`'${name}'`))).toEqual([])
})

describe('broken, and named', () => {
  test('sessions: an expired one is refused by whoever is handed it', async () => {
    const url = await between((path, answer) =>
      path === '/handshake'
        ? { ...answer, session: { id: 'op-1', issued_at: '2001-01-01T00:00:00Z', credential_expiry: '2001-01-03T00:00:00Z' } }
        : answer,
    )
    const ended = await consoleOf(bed, { MCP_GATEWAY_URL: url })('smoke', '--json')
    expect([ended.code, failed(reportIn(ended)).includes('handshake')]).toEqual([1, true])
    expect(reportIn(ended).doctrine_failures[0]!.evidence).toContain('is over since 2001-01-03T00:00:00Z')
  })

  test('sessions: a pending context is none', async () => {
    const url = await between((path, answer) =>
      path === '/handshake' ? { ...answer, accepted_contexts: [{ name: 'stage-b-rehearsal', status: 'pending' }] } : answer,
    )
    const ended = await consoleOf(bed, { MCP_GATEWAY_URL: url })('smoke', '--json')
    expect(ended.code).toBe(1)
    expect(reportIn(ended).doctrine_failures[0]).toMatchObject({
      check: 'handshake',
      evidence: expect.stringContaining('"pending", not accepted'),
    })
  })

  test('heartbeats: one that is answered for, and never came to the gate, is missing', async () => {
    const url = await between((_, answer) => answer, ['/heartbeat'])
    const ended = await consoleOf(bed, { MCP_GATEWAY_URL: url })('smoke', '--json')
    expect(verdict(ended)).toEqual([1, ['heartbeats']])
    expect(reportIn(ended).doctrine_failures[0]!.evidence).toMatch(/^none has come from op-/)
  })

  test('rotation-ledger: a line of 2001 is not what the gate says, and no hand-written fresh one is either', async () => {
    for (const rotatedMs of [Date.UTC(2001, 0, 1), Date.now() + 1_000]) {
      const drill = drillOf({ connector: 'operator_api', kind: 'rotation', rotatedMs, windowMs: 48 * 3_600_000 })
      const ended = await restored(async () => {
        await addDrills({ clock, log }, bed.logs, [drill]) // by the rules of the chain: whoever can write the folder can do that
        return alive(doctrine)
      })
      expect(verdict(ended)).toEqual([1, ['rotation-ledger']])
      expect(reportIn(ended).doctrine_failures).toMatchObject([
        { about: 'operator_api', evidence: expect.stringContaining(drill.rotated_at) },
      ])
    }
  })

  test('rotation-proved: older than 48 hours, by the word of the gate', async () => {
    const old = `${new Date(Date.now() - 49 * 3_600_000).toISOString().slice(0, 19)}Z`
    const url = await between((path, answer) =>
      path === '/connectors' ? { connectors: (answer['connectors'] as object[]).map((state) => ({ ...state, rotated_at: old })) } : answer,
    )
    const ended = await alive(() => doctrine({ MCP_GATEWAY_URL: url }))
    expect(verdict(ended)).toEqual([1, ['rotation-ledger', 'rotation-proved']])
    expect(ended.stdout).toContain('49.0 h ago; at most 48 h are allowed')
  })

  test('credential-expiry: a session that is over', async () => {
    const url = await between((path, answer) =>
      path === '/connectors'
        ? { connectors: (answer['connectors'] as object[]).map((state) => ({ ...state, credential_expiry: '2001-01-03T00:00:00Z' })) }
        : answer,
    )
    const ended = await alive(() => doctrine({ MCP_GATEWAY_URL: url }))
    expect(verdict(ended)).toEqual([1, ['credential-expiry']])
  })

  test('ledger-chain: an altered line, one that is no line, one that is missing', async () => {
    const looks: [(text: string) => string, string][] = [
      [(text) => text.replace('"window_hours":48', '"window_hours":47'), 'altered'],
      [(text) => `${text}{"connector_id":"operator_api","rotated_at":"${new Date().toISOString()}","window_hours":48}\n`, 'line'],
      [(text) => text.split('\n').toSpliced(1, 1).join('\n'), 'out of order'],
    ]
    for (const [change] of looks) {
      const ended = await alive(() => changed(drills(), change, doctrine))
      expect([ended.code, failed(reportIn(ended)).includes('ledger-chain')]).toEqual([1, true])
    }
    const ended = await alive(() => changed(drills(), () => '', doctrine))
    expect(verdict(ended)[1]).toContain('ledger-chain')
  })

  test('window-hours: another window at the gate', async () => {
    const url = await between((path, answer) =>
      path === '/connectors' ? { connectors: (answer['connectors'] as object[]).map((state) => ({ ...state, window_hours: 24 })) } : answer,
    )
    expect(verdict(await alive(() => doctrine({ MCP_GATEWAY_URL: url })))).toEqual([1, ['window-hours']])
  })

  test.each(['MCP_CONNECTOR_TOKEN', 'made by the gate'])('no-secret: a planted credential, %s', async (which) => {
    const planted = which === 'made by the gate' ? `flc_${'p'.repeat(43)}` : bed.token
    mkdirSync(join(bed.logs, 'old'), { recursive: true })
    const file = join(bed.logs, 'old', 'notes.txt')
    writeFileSync(file, `${'x'.repeat(70_000)} ${planted}`)
    const ended = await alive(doctrine)
    rmSync(file)
    expect(verdict(ended)).toEqual([1, ['no-secret']])
    expect(reportIn(ended).doctrine_failures[0]!.about).toBe(file)
    expect(ended.stdout).not.toContain(planted)
  })

  test('receipts: one that was changed, one that is gone', async () => {
    const { file } = receiptsIn(bed.logs).at(-1)!
    expect(
      verdict(await alive(() => changed(file, (text) => text.replace('success', 'SUCCESS').replace('failure', 'success'), doctrine))),
    ).toEqual([1, ['receipts']])
    const text = readFileSync(file)
    rmSync(file)
    const ended = await alive(doctrine)
    writeFileSync(file, text)
    expect(verdict(ended)).toEqual([1, ['receipts']])
    expect(reportIn(ended).doctrine_failures[0]!.evidence).toBe('it is missing')
  })

  test("audit-writable: the gate's record cannot be written", async () => {
    const url = await between((path, { checks, ...answer }) =>
      path === '/health'
        ? { ...answer, checks: { ...(checks as object), ledger: { ok: false, reason: 'no space is left' } } }
        : { checks, ...answer },
    )
    expect(verdict(await alive(() => doctrine({ MCP_GATEWAY_URL: url })))).toEqual([1, ['audit-writable']])
  })

  test('tools-pinned: a definition that has changed, a tool that nobody has accepted, an upstream of which none is pinned, a gate that does not tell', async () => {
    const listed = (): Promise<unknown> => modern(bed.gate.url('up'), 'tools/list', {}, { token: 'ann' })
    const told = async (change = {}): Promise<[number, string[], string]> => {
      const ended = await doctrine(change)
      return [
        ...verdict(ended),
        reportIn(ended)
          .doctrine_failures.map(({ evidence }) => evidence)
          .join(),
      ]
    }
    /** Resolves when the gate has taken it: its record says so. */
    const configured = async (more: string): Promise<void> => {
      const reloads = (): number => ledgerLines(bed.gate).filter(({ event }) => event === 'reload').length
      const before = reloads()
      configure(bed.folder, { upstreams: { up: { ...far, more } }, access, settings: 'logs = "logs"\n' })
      await until('the gate has it', () => reloads() > before)
    }
    await alive(doctrine)
    await listed()
    expect(await told()).toEqual([0, [], ''])
    far.list([tool('read', 'Reads, and tells others')])
    await listed()
    expect(await told()).toEqual([1, ['tools-pinned'], 'some are in quarantine'])
    far.list([tool('read')])
    await listed()
    expect(await told()).toEqual([0, [], ''])
    await configured('new_tools = "quarantine"')
    far.list([tool('read'), tool('write')])
    await listed()
    expect(await told()).toEqual([1, ['tools-pinned'], 'some are in quarantine'])
    await configured('new_tools = "trust"')
    expect(await told()).toEqual([1, ['tools-pinned'], 'no tool is pinned of 1 upstream'])
    await configured('')
    const silent = await between((path, { checks, ...answer }) => {
      const { tools: _, ...others } = (checks ?? {}) as Record<string, unknown>
      return path === '/health' ? { ...answer, checks: others } : { checks, ...answer }
    })
    expect(await told({ MCP_GATEWAY_URL: silent })).toEqual([1, ['tools-pinned'], 'the gate does not tell'])
  })

  test('config-valid: the toggle, a variable that cannot be understood, a configuration that cannot', async () => {
    const off = await alive(() => doctrine({ ABZU_USE_MCP: '0' }))
    expect([off.code, reportIn(off).doctrine_failures[0]!.check]).toEqual([1, 'config-valid'])
    const malformed = await alive(() => doctrine({ MCP_LAST_ROTATED: 'yesterday' }))
    expect([malformed.code, reportIn(malformed).doctrine_failures[0]]).toMatchObject([
      1,
      { check: 'config-valid', evidence: expect.stringContaining('MCP_LAST_ROTATED') },
    ])
    const config = join(bed.folder, 'fairlead.toml')
    const unclear = await alive(() => changed(config, (text) => `${text}\n[gate.nonsense]\n`, doctrine))
    expect([unclear.code, reportIn(unclear).doctrine_failures[0]!.check]).toEqual([1, 'config-valid'])
  })

  test('gateway: nobody answers: 5, and what rests on it is not asked', async () => {
    const ended = await doctrine({ MCP_GATEWAY_URL: 'http://127.0.0.1:9' })
    expect([ended.code, failed(reportIn(ended)).includes('gateway')]).toEqual([5, true])
    const other = await gateIn(
      {
        folder: bed.folder,
        env: { ABZU_USE_MCP: '1', MCP_GATEWAY_URL: `http://127.0.0.1:${bed.gate.port}`, FAIRLEAD_HOME: '/nonexistent' },
      },
      'doctrine',
      '--json',
    )
    expect(other.code).toBe(0) // the socket of this gate is found by its configuration
  })

  test('a handshake that was never made cannot be written into the ledger by hand', async () => {
    const before = readFileSync(drills())
    appendFileSync(
      drills(),
      `${JSON.stringify({ connector_id: 'operator_api', rotated_at: `${new Date().toISOString().slice(0, 19)}Z`, window_hours: 48 })}\n`,
    )
    const ended = await alive(doctrine)
    writeFileSync(drills(), before)
    expect(verdict(ended)).toEqual([1, ['ledger-chain']])
    expect((await handshake(bed.gate, bed.token, handshakeBody('operator_api'))).status).toBe(200)
    expect(drillLines(bed.logs).length).toBeGreaterThan(2)
  })
})
