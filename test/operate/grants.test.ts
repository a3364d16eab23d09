// The whole line from a client through a gate to the machine's server and its helper: the helper acts by the role that the gate vouches for, and by nothing that a client says.
import type { ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { issueGrant } from '../../src/base/access/grant.ts'
import { tokenHash } from '../../src/base/access/principal.ts'
import { grantSigner } from '../../src/gate/grants.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { type RunningGate, gateFor, ledgerLines, openSession, send } from '../gate/bed.ts'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { enveloped } from '../kit/raw-client.ts'
import { Pair, clientOf, signalled, sleeper } from './pair.ts'

const ofGate = 'the-token-of-the-gate-itself'
const tokenOf = (name: string): string => `a-token-of-${name}-and-long`
const machineConfig = (issuers: string) => `access:
  tokens:
    gate: {token: {file: HOME/gate.token}, role: operator}
helper:
  ledger: HOME/ledger
  server_max_role: viewer
  allow: {processes: [sleep]}
  grants: {issuers: [${issuers}], audience: pi-1}
`
const principal = (name: string) => `[gate.principals.${name}]\ntoken_sha256 = "${tokenHash(tokenOf(name))}"\n`
const grants = '[gate.upstreams.machine.grants]\naudience = "pi-1"\nroles = { viewer = ["ben"], operator = ["ann"] }\n'

let pair: Pair
let gate: RunningGate
let server: string
let target: ChildProcess

beforeAll(async () => {
  pair = new Pair()
  writeFileSync(join(pair.home, 'gate.token'), ofGate, { mode: 0o600 })
  pair.configure(machineConfig(''))
  await pair.helper()
  server = (await pair.server()).result['url']!
  const upstream = { url: server, more: `token = { file = "${pair.home}/gate.token" }\n` }
  gate = await gateFor({
    upstreams: { plain: upstream, machine: { ...upstream, more: upstream.more + grants } },
    access: `${['ann', 'ben', 'eve'].map(principal).join('')}[[gate.rules]]\nprincipals = ["*"]\nupstreams = ["*"]\ntools = ["*"]\n`,
  })
  const issuer = /"event":"gate\.grants","issuer":"(\w+)"/.exec(gate.stderr.join('\n'))![1]!
  pair.configure(machineConfig(issuer)) // which the helper takes by itself
  keep()
}, 30_000)
afterAll(cleanUp)
beforeEach(() => void (target = sleeper()))

/** What the helper has written down last. */
function lastOfHelper(): Record<string, unknown> {
  const lines = readFileSync(join(pair.home, 'ledger/audit.log'), 'utf8').trim().split('\n')
  return JSON.parse(lines.findLast((line) => line.includes('"principal"'))!) as Record<string, unknown>
}

const isRunning = (): boolean => target.exitCode === null && target.signalCode === null
const faultIn = (answer: { readonly _meta?: unknown }) => (answer._meta as Record<string, unknown>)['fairlead/fault']

describe.each(['legacy', 'modern'] as const)('%s clients', (era) => {
  const as = (name: string, url = gate.url('machine')) => clientOf(url, tokenOf(name), era)

  test('an operator has it done, in their own name', async () => {
    const answer = await (await as('ann')).callTool(signalled(target.pid!))
    expect(answer.structuredContent).toMatchObject({ pid: target.pid })
    await expect.poll(() => target.signalCode).toBe('SIGTERM')
    expect(lastOfHelper()).toMatchObject({ event: 'tool_call.begin', principal: 'ann', via: 'token', proved: true })
  })
  test.each(['ben', 'eve'])('%s, a viewer or nobody, has not', async (name) => {
    const answer = await (await as(name)).callTool(signalled(target.pid!))
    expect(faultIn(answer)).toMatchObject({ code: 'tool.denied', kind: 'denied' })
    expect(lastOfHelper()).toMatchObject({ event: 'permission_denied', principal: name, proved: true })
    expect(isRunning()).toBe(true)
  })
  test('the same at the endpoint of all upstreams', async () => {
    const all = `http://127.0.0.1:${gate.port}/mcp`
    const { arguments: args } = signalled(target.pid!)
    const refused = await (await as('ben', all)).callTool({ name: 'machine__process_signal', arguments: args })
    expect(faultIn(refused)).toMatchObject({ code: 'tool.denied' })
    await (await as('ann', all)).callTool({ name: 'machine__process_signal', arguments: args })
    await expect.poll(() => target.signalCode).toBe('SIGTERM')
  })
  test('an upstream that is to get none gets none, and the helper goes by server_max_role', async () => {
    const answer = await (await as('ann', gate.url('plain'))).callTool(signalled(target.pid!))
    expect(faultIn(answer)).toMatchObject({ code: 'tool.denied' })
    expect(lastOfHelper()).toMatchObject({ principal: 'gate', proved: false })
  })
})

describe('a grant that a client shows itself', () => {
  const stolen = (): Promise<string> =>
    issueGrant(
      { identity: grantSigner(join(gate.folder, 'state/grants.secret')), clock: systemClock },
      { subject: 'ann', roles: ['operator'], via: 'token', audience: 'pi-1' },
    )
  const body = (meta: string, era: 'legacy' | 'modern'): string => {
    const { arguments: args, name } = signalled(target.pid!)
    const message =
      era === 'modern'
        ? enveloped(7, 'tools/call', { name, arguments: args })
        : { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name, arguments: args, _meta: {} } }
    return JSON.stringify(message)
      .replace(/"_meta":\{/, (start) => `${start}${meta}`)
      .replace(',}', '}')
  }
  const sent = async (url: string, text: string, era: 'legacy' | 'modern') => {
    const token = tokenOf('ben')
    const headers =
      era === 'modern' ? { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'process_signal' } : {}
    const session = era === 'legacy' ? { session: await openSession(url, { token }) } : {}
    return send(url, text, { token, headers, ...session })
  }

  test('it is a good one: whoever may ask the server itself is believed by it', async () => {
    const client = await clientOf(server, ofGate)
    await client.callTool({ ...signalled(target.pid!), _meta: { 'fairlead/grant': await stolen() } })
    await expect.poll(() => target.signalCode).toBe('SIGTERM')
    expect(lastOfHelper()).toMatchObject({ principal: 'ann', proved: true })
  })
  test.each([
    ['legacy', 'fairlead/grant'],
    ['legacy', String.raw`fairlead\/grant`],
    ['modern', 'fairlead/grant'],
    ['modern', String.raw`\u0066airlead/grant`],
  ] as const)('attack 9: never gets past the gate (%s, %s)', async (era, name) => {
    const member = `"${name}":"${await stolen()}",`
    for (const [upstream, told] of [
      ['machine', { principal: 'ben', proved: true }],
      ['plain', { principal: 'gate', proved: false }],
    ] as const) {
      const { text } = await sent(gate.url(upstream), body(member, era), era)
      expect(text).toContain('tool.denied')
      expect(lastOfHelper()).toMatchObject({ event: 'permission_denied', ...told })
    }
    expect(isRunning()).toBe(true)
  })
  test.each(['Fairlead/Grant', 'fairlead/grant'])('attack 9: with another beside it (%s) the message is refused', async (name) => {
    const grant = await stolen()
    const before = lastOfHelper()
    const { status, body: answer } = await sent(
      gate.url('machine'),
      body(`"fairlead/grant":"${grant}","${name}":"${grant}",`, 'modern'),
      'modern',
    )
    expect([status, answer.error?.code]).toEqual([400, -32600])
    expect(lastOfHelper()).toEqual(before)
    expect(isRunning()).toBe(true)
  })
})

test('the record of the gate and both logs hold no grant', () => {
  const all = [JSON.stringify(ledgerLines(gate)), gate.stderr.join('\n'), readFileSync(join(pair.home, 'ledger/audit.log'), 'utf8')]
  for (const text of all) expect(text).not.toMatch(/eyJhbGciOiJFZERTQSI/)
})
