// Connectors at a real gate: what a handshake and a heartbeat must be, what strangers learn, and who a credential is.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, afterAll, describe, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type RunningGate, call, gateFor, ledgerLines, openSession as openMcp, textOf, until } from './bed.ts'
import {
  ask,
  connectorGate,
  connectorIds,
  gateCommand,
  handshake,
  handshakeBody,
  heartbeatBody,
  issue,
  nowText,
  openSession,
  statesOf,
} from './connector-bed.ts'

const { folder, settings } = connectorGate()
let gate: RunningGate
/** The credential of all three. */
let common = ''

beforeAll(async () => {
  gate = await gateFor(settings)
  common = (await issue(gate, ...connectorIds)).token
  keep()
}, 120_000)
afterAll(cleanUp)

describe('G14: the handshake', () => {
  test('opens a session, says so in the line that runbooks look for, and in the ledger without the credential', async () => {
    const { status, body } = await handshake(gate, common, handshakeBody('operator_api'))
    expect(status).toBe(200)
    const { id, issued_at: issued, credential_expiry: expiry } = body['session'] as Record<string, string>
    expect(body).toMatchObject({ authenticated: true, accepted_contexts: [{ name: 'stage-b-rehearsal', status: 'accepted' }] })
    expect(id).toMatch(/^op-[0-9a-f]{16}$/)
    for (const time of [issued, expiry]) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const line = `{"level":"INFO","event":"mcp.handshake","stage":"B","session_id":"${id}","accepted_contexts":["stage-b-rehearsal"]}`
    await until('the log has the line', () => gate.stderr.includes(line))
    expect(
      ledgerLines(gate)
        .filter(({ event }) => event === 'connector.handshake')
        .at(-1),
    ).toMatchObject({ connector: 'operator_api', session: id })
  })

  test('strangers are all told the same, at every path of connectors, and at those that are not there', async () => {
    const paths = ['/handshake', '/heartbeat', '/connectors/operator_api/command', '/connectors/nobody/command', '/nothing']
    const told = async (token: string | undefined): Promise<string[]> => {
      const body = JSON.stringify(handshakeBody('operator_api'))
      const answers = await Promise.all(paths.map((path) => ask(gate, path, { token, body })))
      return answers.map(({ status, text, headers }) => JSON.stringify([status, text, headers.get('www-authenticate')]))
    }
    const wrong = await Promise.all(['nope', `flc_${'x'.repeat(43)}`, `${common}x`].map(told))
    expect(new Set(wrong.flat()).size).toBe(1)
    const none = new Set(await told(undefined)) // RFC 6750: the challenge names an error only where a credential was shown
    expect([none.size, ...[...none, wrong[0]![0]!].map((text) => (JSON.parse(text) as unknown[])[0])]).toEqual([1, 401, 401])
    const other = await handshake(gate, 'ann-token', handshakeBody('operator_api')) // somebody, and no connector
    expect([other.status, other.text.includes('authenticated')]).toEqual([404, false])
  })

  const without = (member: string) => {
    const { [member]: _, ...rest } = handshakeBody('operator_api')
    return rest
  }
  const identity = { connector_id: 'operator_api', version: '1', instance: 'local' }
  const rotation = { last_rotated: null, rotation_window: 'PT48H', supports_hot_swap: true, token_hint: '' }
  const context = { name: 'stage-b-rehearsal', channels: [], capabilities: [] }
  test.each([
    ['no identity', without('identity'), 400, 'identity: is required'],
    ['no rotation', without('rotation'), 400, 'rotation: is required'],
    ['no contexts', handshakeBody('operator_api', { supported_contexts: [] }), 400, 'supported_contexts: must have at least 1'],
    ['a member more', handshakeBody('operator_api', { more: 1 }), 400, 'more: unknown key'],
    [
      'a member more within',
      handshakeBody('operator_api', { identity: { ...identity, role: 'admin' } }),
      400,
      'identity.role: unknown key',
    ],
    [
      'a boolean that is text',
      handshakeBody('operator_api', { rotation: { ...rotation, supports_hot_swap: 'true' } }),
      400,
      'supports_hot_swap: must be true or false',
    ],
    [
      'a time without zone',
      handshakeBody('operator_api', { rotation: { ...rotation, last_rotated: '2026-01-01T00:00:00' } }),
      400,
      'last_rotated: must be a time with its zone',
    ],
    [
      'a time to come',
      handshakeBody('operator_api', { rotation: { ...rotation, last_rotated: nowText(3_600_000) } }),
      400,
      'last_rotated: is in the future',
    ],
    [
      'an empty window',
      handshakeBody('operator_api', { rotation: { ...rotation, rotation_window: 'PT' } }),
      400,
      'rotation_window: must be an ISO 8601 duration',
    ],
    ['a text', 'hello', 400, 'the body is no JSON object'],
    [
      'an old rotation',
      handshakeBody('operator_api', { rotation: { ...rotation, last_rotated: '2001-01-01T00:00:00Z' } }),
      401,
      'this credential is stale since 2001-01-03T00:00:00Z',
    ],
    [
      'a window that is over',
      handshakeBody('operator_api', { rotation: { ...rotation, rotation_window: 'PT0.001S' } }),
      401,
      'this credential is stale',
    ],
    ['another connector', handshakeBody('nobody'), 403, 'the credential is not of this connector'],
    [
      'another context',
      handshakeBody('operator_api', { supported_contexts: [{ ...context, name: 'stage-c' }] }),
      403,
      'stage-b-rehearsal is not among',
    ],
    [
      'a channel too many',
      handshakeBody('operator_api', { supported_contexts: [{ ...context, channels: ['upload'] }] }),
      403,
      'no channel \\"upload\\"',
    ],
    [
      'a capability too many',
      handshakeBody('operator_api', { supported_contexts: [{ ...context, capabilities: ['root'] }] }),
      403,
      'no capability \\"root\\"',
    ],
  ])('refused: %s', async (_, body, status, reason) => {
    const before = (await statesOf(gate))['operator_api']!['sessions']
    const answer = await handshake(gate, common, body)
    expect(answer).toMatchObject({ status, body: { authenticated: false } })
    expect(answer.text).toContain(reason)
    expect((await statesOf(gate))['operator_api']!['sessions']).toEqual(before)
  })

  test('another context beside the one is told to be rejected, and harms nothing', async () => {
    const contexts = [{ ...context, name: 'stage-c' }, context]
    const { body } = await handshake(gate, common, handshakeBody('operator_api', { supported_contexts: contexts }))
    expect(body['accepted_contexts']).toMatchObject([
      { name: 'stage-c', status: 'rejected' },
      { name: 'stage-b-rehearsal', status: 'accepted' },
    ])
  })

  test('what a holder says of its rotation brings the expiry nearer, and never puts it off', async () => {
    const { rotated_at: rotatedAt } = (await statesOf(gate))['operator_api']! as { rotated_at: string }
    const expiryWith = async (change: Record<string, unknown>) => {
      const { body } = await handshake(gate, common, handshakeBody('operator_api', { rotation: { ...rotation, ...change } }))
      return Date.parse((body['session'] as { credential_expiry: string }).credential_expiry) - Date.parse(rotatedAt)
    }
    const hourMs = 3_600_000
    expect(await expiryWith({})).toBe(48 * hourMs)
    expect(await expiryWith({ rotation_window: 'P1D' })).toBe(24 * hourMs)
    expect(await expiryWith({ rotation_window: 'P30D' })).toBe(48 * hourMs)
    expect(await expiryWith({ last_rotated: nowText() })).toBe(48 * hourMs)
    const dayAgo = `${new Date(Date.parse(rotatedAt) - 24 * hourMs).toISOString().slice(0, 19)}Z`
    expect(await expiryWith({ last_rotated: dayAgo })).toBe(24 * hourMs)
  })

  test('a body that is too large is not read to its end', async () => {
    const answer = await handshake(gate, common, { filling: 'x'.repeat(100_000) })
    expect([answer.status, answer.text.includes('larger than 65536 bytes')]).toEqual([400, true])
  })
})

describe('G15: the heartbeat', () => {
  test('keeps a session alive, which is found by its name, or is the only one of its credential', async () => {
    const { id, credential_expiry: expiry } = await openSession(gate, common, 'operator_api')
    const crown = await openSession(gate, common, 'crown_handshake')
    const beat = (session: string | undefined, body: unknown) =>
      ask(gate, '/heartbeat', { token: common, session, body: JSON.stringify(body) })
    expect((await beat(undefined, heartbeatBody(expiry))).status).toBe(409) // there are two
    expect((await beat(id, heartbeatBody(expiry, { cycle_count: 3 }))).body).toMatchObject({
      accepted: true,
      session: { id },
      next_in_seconds: 30,
    })
    expect((await beat(crown.id, heartbeatBody(expiry, { chakra: 'crown', event: 'stage-b-smoke' }))).status).toBe(200)
    await ask(gate, '/handshake', { method: 'DELETE', token: common, session: crown.id })
    const { event: _, ...plain } = heartbeatBody(expiry)
    expect((await beat(undefined, plain)).status).toBe(200)
    const { sessions } = (await statesOf(gate))['operator_api']! as { sessions: { id: string; heartbeat: unknown }[] }
    expect(sessions.find((one) => one.id === id)!.heartbeat).toMatchObject({ event: 'stage-b-heartbeat', cycle_count: 0 })
  })

  test.each([
    ['chakra', { chakra: 'neo' }, "chakra: this connector's is operator"],
    ['no chakra', { chakra: '' }, 'chakra: must have at least 1'],
    ['cycle_count below 0', { cycle_count: -1 }, 'cycle_count: must be at least 0'],
    ['cycle_count that is true', { cycle_count: true }, 'cycle_count: must be a number'],
    ['cycle_count with a part', { cycle_count: 1.5 }, 'cycle_count: must be'],
    ['context', { context: 'stage-c' }, 'context: must be stage-b-rehearsal'],
    ['event', { event: 'stage-b-other' }, 'event: must be one of'],
    ['a member more', { session_id: 'op-1' }, 'session_id: unknown key'],
    ['emitted_at without zone', { emitted_at: '2026-01-01T00:00:00' }, 'emitted_at: must be a time with its zone, to the second'],
    [
      'emitted_at with a fraction',
      { emitted_at: `${nowText().slice(0, 19)}.5Z` },
      'emitted_at: must be a time with its zone, to the second',
    ],
    ['emitted_at long ago', { emitted_at: nowText(-600_000) }, 'emitted_at: is more than 300 s'],
    ['emitted_at to come', { emitted_at: nowText(600_000) }, 'emitted_at: is more than 300 s'],
    ['an expiry later than the session’s', { credential_expiry: '2099-01-01T00:00:00Z' }, "credential_expiry: is later than the session's"],
    ['an expiry that is over', { credential_expiry: '2001-01-01T00:00:00Z' }, 'credential_expiry: is over'],
    ['an expiry that is none', { credential_expiry: 'soon' }, 'credential_expiry: must be a time'],
  ])('refused: %s', async (_, change, reason) => {
    const { id, credential_expiry: expiry } = await openSession(gate, common, 'operator_api')
    const answer = await ask(gate, '/heartbeat', { token: common, session: id, body: JSON.stringify(heartbeatBody(expiry, change)) })
    expect(answer.status).toBe(400)
    expect(answer.text).toContain(reason)
  })
})
describe('a credential', () => {
  test('that stands in a body is refused, and comes out nowhere', async () => {
    const mark = `flc_${'M'.repeat(43)}`
    const rotation = { last_rotated: null, rotation_window: 'PT48H', supports_hot_swap: true, token_hint: '' }
    const bodies = [
      handshakeBody('operator_api', { rotation: { ...rotation, token_hint: common } }),
      handshakeBody('operator_api', { rotation: { ...rotation, credentials: { type: 'bearer', token: 'MARK-in-body' } } }),
      handshakeBody('operator_api', { identity: { connector_id: 'operator_api', version: mark, instance: 'x' } }),
    ]
    for (const body of bodies) {
      const answer = await handshake(gate, common, body)
      expect(answer).toMatchObject({ status: 400, body: { error: { code: 'gate.credential_in_body' } } })
      for (const secret of [common, 'MARK-in-body', mark]) expect(answer.text).not.toContain(secret)
    }
    const { id, credential_expiry: expiry } = await openSession(gate, common, 'operator_api')
    const beat = await ask(gate, '/heartbeat', {
      token: common,
      session: id,
      body: JSON.stringify(heartbeatBody(expiry, { chakra: common })),
    })
    expect(beat.body).toMatchObject({ error: { code: 'gate.credential_in_body' } })
    const kept = readdirSync(join(folder, 'state'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const everywhere = [...gate.stderr, ...kept.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))].join('\n')
    for (const secret of [common, 'MARK-in-body', mark]) expect(everywhere).not.toContain(secret)
    expect(everywhere).toContain('gate.credential_in_body')
  })

  test('of one connector is a principal of MCP, too; one that serves several is nobody there', async () => {
    const url = gate.url('far')
    await expect(openMcp(url, { token: common })).rejects.toThrow('no session: 401')
    const other = await gateFor({ upstreams: settings.upstreams, access: settings.access })
    const { token } = await issue(other, 'operator_api')
    const session = await openMcp(other.url('far'), { token })
    expect(textOf(await call(other.url('far'), 'echo', { text: 'hello' }, { token, session }))).toBe('hello')
    await expect(openMcp(other.url('hidden'), { token })).rejects.toThrow('no session: 403')
    const statuses = async (at: RunningGate, shown: string) =>
      Promise.all(
        ['/health', '/metrics', '/', '/connectors/operator_api/other', '/connectors/none/command'].map(
          async (path) => (await ask(at, path, { method: 'GET', token: shown })).status,
        ),
      )
    expect(await statuses(other, token)).toEqual([200, 403, 404, 404, 404])
    expect(await statuses(gate, common)).toEqual([401, 401, 401, 401, 401])
    for (const path of ['/', '/connectors/none/command', '/connectors/operator_api/other'])
      expect([path, (await ask(other, path, { token, body: '{}' })).status]).toEqual([path, 404])
  })
})
test('who hand-shakes too often waits, and fills no ledger', async () => {
  const before = ledgerLines(gate).length
  const answers = await Promise.all(Array.from({ length: 200 }, () => handshake(gate, common, {})))
  const late = answers.filter(({ status }) => status === 429)
  expect(late.length).toBeGreaterThan(100)
  expect(Number(late[0]!.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(ledgerLines(gate).length - before).toBeLessThan(100)
})

test('what is asked of the commands wrongly is told', async () => {
  expect(await gateCommand(gate, 'rotate', 'operator_api')).toMatchObject({ code: 2, stderr: expect.stringContaining('--out FILE') })
  expect(await gateCommand(gate, 'rotate', 'operator_api', '--print')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('on a terminal only'),
  })
  const file = join(folder, 'nobody.token')
  expect(await gateCommand(gate, 'rotate', 'nobody', '--out', file)).toMatchObject({
    stderr: expect.stringContaining('there is no connector "nobody"'),
  })
  expect(await gateCommand(gate, 'rotate', 'operator_api', '--out', file, '--overlap', 'long')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--overlap'),
  })
  expect([existsSync(file), existsSync(`${file}.next`)]).toEqual([false, false])
  await gate.stop('SIGKILL')
  for (const words of [['connectors'], ['freeze'], ['rotate', 'operator_api', '--out', file]])
    expect(await gateCommand(gate, ...words)).toMatchObject({ code: 5, stderr: expect.stringContaining('no gate answers') })
})
