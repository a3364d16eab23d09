// What the three connectors do at a real gate: commands, uploads, mission briefs.
import { hash } from 'node:crypto'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, afterAll, describe, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { type RunningGate, gateFor, ledgerLines } from './bed.ts'
import { ask, connectorGate, connectorIds, issue, openSession } from './connector-bed.ts'

const { far, uploads, settings } = connectorGate()
let gate: RunningGate
/** The credential of all three. */
let common = ''

beforeAll(async () => {
  gate = await gateFor(settings)
  common = (await issue(gate, ...connectorIds)).token
  keep()
}, 120_000)
afterAll(cleanUp)

describe('the channels', () => {
  /** A connector's session, and its channel. */
  async function channel(connector: string, name: string) {
    const { id } = await openSession(gate, common, connector)
    return {
      id,
      send: (
        body: RequestInit['body'],
        init: { headers?: Record<string, string>; query?: string; session?: string; token?: string } = {},
      ) => ask(gate, `/connectors/${connector}/${name}${init.query ?? ''}`, { token: common, session: id, ...init, body: body! }),
    }
  }

  test("a command becomes a tool's call, in the connector's name, by its rules, on record", async () => {
    const { send } = await channel('operator_api', 'command')
    const before = far.callsOf('echo')
    const answer = await send('{"arguments" : {"text":"é", "n":12345678901234567890, "f":1.00e0}, "command":"far__echo"}')
    expect(answer).toMatchObject({ status: 200, body: { route: 'mcp', result: { content: [{ text: 'é' }] } } })
    const unnamed = await ask(gate, '/connectors/operator_api/command', { token: common, body: '{"command":"far__echo"}' })
    expect(unnamed.status).toBe(200) // the only session of this connector
    expect(far.callsOf('echo')).toBe(before + 2)
    const [begin, end] = ledgerLines(gate).slice(-2)
    expect(begin).toMatchObject({ event: 'call.begin', principal: 'operator_api', via: 'token', upstream: 'far', name: 'echo' })
    expect(end).toMatchObject({ event: 'call.end', outcome: 'ok' })
  })

  test('what no rule allows is refused, and tells nothing of what is there', async () => {
    const { send } = await channel('operator_api', 'command')
    const answers = await Promise.all(['hidden__echo', 'nothing__echo', 'far__sleep'].map((command) => send(JSON.stringify({ command }))))
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403])
    expect(answers.map(({ body }) => body['sent'])).toEqual([false, false, false])
    expect(answers[0]!.text.replaceAll('hidden', 'X')).toBe(answers[1]!.text.replaceAll('nothing', 'X'))
    expect(far.callsOf('sleep')).toBe(0)
  })

  test.each([
    ['no command', '{}', 'command: is required'],
    ['no tool', '{"command":"far"}', 'command: must be UPSTREAM__TOOL'],
    ['a member more', '{"command":"far__echo","operator":"root"}', 'operator: unknown key'],
    ['arguments twice', '{"command":"far__echo","arguments":{},"arguments":{}}', 'arguments: stands there twice'],
    ['arguments that are a list', '{"command":"far__echo","arguments":[]}', 'arguments: must be'],
  ])('refused: %s', async (_, body, reason) => {
    const { send } = await channel('operator_api', 'command')
    const answer = await send(body)
    expect(answer.status).toBe(400)
    expect(answer.text).toContain(reason)
  })

  test('a channel takes no message without a living session of its own connector', async () => {
    const { id } = await openSession(gate, common, 'operator_api')
    const crown = await channel('crown_handshake', 'mission-brief')
    for (const session of ['op-0000000000000000', id]) expect((await crown.send('{}', { session })).status).toBe(409)
    await ask(gate, '/handshake', { method: 'DELETE', token: common, session: crown.id })
    expect((await crown.send('{}')).body).toMatchObject({ sent: false, error: { code: 'gate.no_connector_session' } })
  })

  const digest = (bytes: string): string => `sha-256=:${hash('sha256', bytes, 'base64')}:`

  test('an upload lands whole in the folder of its service, under a harmless name, once', async () => {
    const { send } = await channel('operator_upload', 'upload')
    const upload = (name: string, bytes: string, told = digest(bytes), service = 'demo') =>
      send(bytes, { headers: { 'content-digest': told }, query: `?service=${service}&name=${encodeURIComponent(name)}` })
    expect((await upload('../../etc/pass\0wd', 'root')).body).toMatchObject({
      route: 'mcp',
      service: 'demo',
      stored_as: 'passwd',
      size_bytes: 4,
    })
    expect((await upload('../../etc/pass\0wd', 'root')).body).toMatchObject({ stored_as: 'passwd' }) // sent again
    expect((await upload('passwd', 'other')).body).toMatchObject({ stored_as: 'passwd (2)' })
    expect(readFileSync(join(uploads, 'passwd'), 'utf8')).toBe('root')
    expect(statSync(join(uploads, 'passwd')).mode & 0o777).toBe(0o600)
    expect(await upload('wrong', 'one', digest('two'))).toMatchObject({
      status: 409,
      body: { sent: false, error: { code: 'transfer.damaged' } },
    })
    expect(await upload('a', 'a', digest('a'), 'other')).toMatchObject({ status: 404, body: { error: { code: 'gate.unknown_service' } } })
    expect((await upload('a', 'a', 'md5=:x:')).text).toContain('Content-Digest: is required')
    expect(
      readdirSync(uploads)
        .filter((name) => !name.startsWith('.'))
        .toSorted(),
    ).toEqual(['passwd', 'passwd (2)'])
  })

  test('a mission brief is acknowledged with what can be used now, and what is down', async () => {
    await ask(gate, '/mcp/broken', { token: 'ann-token', headers: { 'content-type': 'application/json' }, body: '{}' })
    const api = await channel('operator_api', 'command')
    expect((await api.send('{"command":"broken__echo"}')).status).toBe(403)
    const { send } = await channel('crown_handshake', 'mission-brief')
    const brief = JSON.stringify({ priority_map: { calm: 1 }, current_status: 'steady', open_issues: [] })
    const { body } = await send(brief)
    expect(body).toEqual({ route: 'mcp', ack: `sha256:${hash('sha256', brief, 'hex')}`, capabilities: ['far', 'broken'], downtime: {} })
    await send(JSON.stringify({ priority_map: {}, current_status: '' })).then(({ status, text }) => {
      expect([status, text.includes('open_issues: is required')]).toEqual([400, true])
    })
  })

  test('a server that dies in the middle: the effect is unknown, and it is said that it was sent', async () => {
    const { send } = await channel('operator_api', 'command')
    const answer = await send('{"command":"far__exit"}')
    expect(answer).toMatchObject({ status: 503, body: { sent: true, error: { code: 'gate.command_unknown' } } })
  })
})
