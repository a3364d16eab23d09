// The helper and its link as two ends of a real socket: what is done, refused and simulated, by the helper's own configuration, and what its record tells.
import { chmodSync, statSync } from 'node:fs'
import { beforeEach, describe, expect, test } from 'vitest'
import { later } from '../../../test/kit/cleanup.ts'
import { issueGrant } from '../../base/access/grant.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import type { Call } from '../../base/mcp/tool/tool.ts'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { type TestHelper, testHelper } from './helper.fixture.ts'
import { deeds, lampBlow, lampSet, lampTools, lampWatch, letGo } from './lamps.fixture.ts'
import type { HelperLink } from './link.ts'
import { helperNeeds, plainCall } from './memory-link.fixture.ts'
import { createOperations, privilegedTools } from './operations.ts'
import { ownConfig } from './own-config.ts'
import type { HelperRecord } from './record.ts'
import { socketLink } from './socket-link.ts'

const gate = createIdentity(new Uint8Array(32).fill(7))
beforeEach(() => void deeds.splice(0))

function linkTo(socket: string): HelperLink {
  const link = socketLink({ clock: systemClock, log: silentLog }, socket)
  later(() => link[Symbol.asyncDispose]())
  return link
}

const operator = `helper:
  ledger: LEDGER
  server_max_role: operator
  allow:
    pins: ["kitchen*"]
`
async function started(text = operator): Promise<{ own: TestHelper; link: HelperLink }> {
  const own = testHelper(text)
  await own.start()
  return { own, link: linkTo(own.socket) }
}
const grantOf = (roles: string[], audience = 'raspi-ops-agent'): Promise<string> =>
  issueGrant({ identity: gate, clock: systemClock }, { subject: 'ann@example.org', roles, via: 'jwt', audience })
const withGrant = (grant: string): Call => plainCall({ caller: { ...plainCall().caller, grant } })
const kitchen = { lamp: 'kitchen1', isOn: true }

describe('what is done', () => {
  test('a tool is performed, and recorded before and after', async () => {
    const { own, link } = await started()
    const told: unknown[] = []
    const answer = await link.ask(lampSet, kitchen, plainCall({ progress: (...all) => void told.push(all) }))
    expect(answer).toEqual(kitchen)
    expect(told).toEqual([[1, 2, 'half']])
    await expect.poll(() => deeds).toEqual(['kitchen1 true ann disabled', 'kitchen1 after'])
    const [, begin, end] = own.recorded()
    expect(begin).toMatchObject({
      event: 'tool_call.begin',
      tool: 'lamp_set',
      principal: 'ann',
      via: 'token',
      proved: false,
      source: 'test',
      request: '1',
      subjects: ['pins:kitchen1'],
    })
    expect(end).toMatchObject({ event: 'tool_call.end', begin: begin!['seq'], outcome: 'done', ms: expect.any(Number) as number })
    expect(JSON.stringify(begin)).not.toContain('isOn') // arguments are there as a digest only
  })
  test('socket and record are for root and the group', async () => {
    const { own } = await started()
    expect((statSync(own.socket).mode & 0o777).toString(8)).toBe('660')
    expect((statSync(`${own.folder}/ledger/audit.log`).mode & 0o777).toString(8)).toBe('640')
  })
  test('a thousand calls at once on one link are all answered, each with its own answer', async () => {
    const { link } = await started('helper: {ledger: LEDGER, max_calls: 16}\n')
    const sizes = Array.from({ length: 1_000 }, (_, index) => index)
    const answers = await Promise.all(sizes.map((fill) => link.ask(lampWatch, { wait: false, fill }, plainCall())))
    expect(answers.map(({ seen }) => seen.length)).toEqual(sizes)
  })
  test('a call that waits does not hold up others, and ends when its caller leaves', async () => {
    const { own, link } = await started()
    const stop = new AbortController()
    const waiting = link.ask(lampWatch, { wait: true, fill: 0 }, plainCall({ signal: stop.signal }))
    expect(await link.ask(lampWatch, { wait: false, fill: 1 }, plainCall())).toEqual({ seen: 'x' })
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'tool.cancelled' })
    expect(own.recorded().at(-1)).toMatchObject({ outcome: 'failed', reason: 'tool.cancelled' })
  })
})

describe('who may', () => {
  const grants = `helper:
  ledger: LEDGER
  grants: {issuers: ["${gate.peerId}"]}
  allow: {pins: ["kitchen*"]}
`
  test('without a grant: what server_max_role says, viewer by default', async () => {
    const { own, link } = await started(grants)
    await expect(link.ask(lampSet, kitchen, plainCall())).rejects.toMatchObject({ code: 'tool.denied', kind: 'denied' })
    expect(await link.ask(lampWatch, { wait: false, fill: 0 }, plainCall())).toEqual({ seen: '' })
    expect(deeds).toEqual([])
    expect(own.recorded()[1]).toMatchObject({ event: 'permission_denied', tool: 'lamp_set', principal: 'ann', code: 'tool.denied' })
  })
  test('with a grant: its roles, for its subject', async () => {
    const { own, link } = await started(grants)
    await link.ask(lampSet, kitchen, withGrant(await grantOf(['operator'])))
    expect(deeds[0]).toBe('kitchen1 true ann@example.org disabled')
    expect(own.recorded()[1]).toMatchObject({ principal: 'ann@example.org', via: 'jwt', proved: true })
    await expect(link.ask(lampBlow, kitchen, withGrant(await grantOf(['operator'])))).rejects.toMatchObject({ code: 'tool.denied' })
    await expect(link.ask(lampSet, kitchen, withGrant(await grantOf(['root', 'OPERATOR'])))).rejects.toMatchObject({ code: 'tool.denied' })
  })
  test('a grant that is not believed is refused, and not taken for none', async () => {
    const { link } = await started(`${grants}  server_max_role: admin\n`)
    const others = createIdentity(new Uint8Array(32).fill(9))
    const forged = await issueGrant(
      { identity: others, clock: systemClock },
      { subject: 'x', roles: ['admin'], via: 'x', audience: 'raspi-ops-agent' },
    )
    for (const grant of [forged, await grantOf(['admin'], 'another-machine'), 'admin'])
      await expect(link.ask(lampWatch, { wait: false, fill: 0 }, withGrant(grant))).rejects.toMatchObject({ code: 'access.bad_grant' })
  })
  test('an empty allow-list allows nothing, not even to an admin', async () => {
    const { own, link } = await started('helper: {ledger: LEDGER, server_max_role: admin}\n')
    await expect(link.ask(lampSet, kitchen, plainCall())).rejects.toMatchObject({ code: 'operate.not_listed', details: { list: 'pins' } })
    expect(own.recorded()[1]).toMatchObject({ event: 'permission_denied', subjects: ['pins:kitchen1'], code: 'operate.not_listed' })
    expect(deeds).toEqual([])
  })
})

describe('sandbox, by the file of the helper', () => {
  test('a change of the file counts for the next call: nothing is restarted', async () => {
    const { own, link } = await started(`${operator}testing:\n  sandbox_mode: "full"\n`)
    const said: string[] = []
    const call = plainCall({ simulated: (why) => void said.push(why) })
    expect(await link.ask(lampSet, kitchen, call)).toEqual(kitchen)
    expect([said, deeds]).toEqual([['full'], []])
    expect(own.recorded().at(-1)).toMatchObject({ outcome: 'simulated' })
    own.configure(`${operator}testing:\n  sandbox_mode: "disabled"\n`)
    await link.ask(lampSet, kitchen, call)
    expect([said, deeds[0]]).toEqual([['full'], 'kitchen1 true ann disabled'])
    own.configure(`${operator}testing:\n  sandbox_mode: "partial"\n`)
    await link.ask(lampSet, kitchen, call)
    expect(said).toEqual(['full', 'partial'])
    expect(deeds.filter((deed) => !deed.endsWith('after'))).toHaveLength(1)
  })
  test('a file that is wrong, or that others could change, stops everything until it is mended', async () => {
    const { own, link } = await started()
    own.configure(`${operator}  surprise: 1\n`)
    await expect(link.ask(lampSet, kitchen, plainCall())).rejects.toMatchObject({ code: 'config.invalid' })
    own.configure(operator)
    chmodSync(own.configFile, 0o664)
    await expect(link.ask(lampSet, kitchen, plainCall())).rejects.toMatchObject({ code: 'operate.untrusted_file' })
    expect(deeds).toEqual([])
    chmodSync(own.configFile, 0o640)
    await link.ask(lampSet, kitchen, plainCall())
    expect(deeds).not.toEqual([])
  })
  test.each([0o644, 0o660, 0o642, 0o777])('it does not start with a file of mode %o', async (mode) => {
    const own = testHelper(operator)
    chmodSync(own.configFile, mode)
    await expect(own.start()).rejects.toMatchObject({ code: 'operate.untrusted_file', kind: 'config' })
  })
  test.each([0o777, 0o755, 0o770])('it does not start where a stranger could open or replace its socket (mode %o)', async (mode) => {
    const own = testHelper(operator)
    chmodSync(`${own.folder}/run`, mode)
    await expect(own.start()).rejects.toMatchObject({ code: 'operate.untrusted_file' })
  })
})

describe('how often', () => {
  test('changes are slowed down, whatever name the server gives', async () => {
    const { link } = await started(operator.replace('  allow', '  changes_per_minute: 3\n  allow'))
    const call = (name: string): Call => plainCall({ caller: { ...plainCall().caller, principal: { name, via: 'token' } } })
    for (const name of ['ann', 'bob', 'eve']) await link.ask(lampSet, kitchen, call(name))
    await expect(link.ask(lampSet, kitchen, call('zoe'))).rejects.toMatchObject({ code: 'operate.too_often', kind: 'limited' })
    expect(await link.ask(lampWatch, { wait: false, fill: 0 }, plainCall())).toEqual({ seen: '' })
  })
  test('a tool with a shortest interval happens once in it', async () => {
    const { link } = await started('helper: {ledger: LEDGER, server_max_role: admin}\n')
    await link.ask(lampBlow, kitchen, plainCall())
    await expect(link.ask(lampBlow, kitchen, plainCall())).rejects.toMatchObject({ code: 'operate.too_often' })
  })
})

describe('many calls', () => {
  test('ten thousand are all answered and recorded, and leave nothing behind', async () => {
    const { own, link } = await started()
    let left = 10_000
    const ask = async (): Promise<void> => {
      while (left-- > 0) expect(await link.ask(lampWatch, { wait: false, fill: 1 }, call)).toEqual({ seen: 'x' })
    }
    const call = plainCall()
    await Promise.all(Array.from({ length: 16 }, ask))
    expect(await link.health()).toEqual({ ok: true })
    expect(own.recorded().filter(({ event, outcome }) => event === 'tool_call.end' && outcome === 'done')).toHaveLength(10_000)
  }, 60_000)
})

describe('a record that cannot be written', () => {
  test('stops changes, and not looking', async () => {
    const own = testHelper(operator)
    const record: HelperRecord = {
      begin: () => ({ seq: 1, written: Promise.reject(new Error('no space left on the disk')) }),
      end: async () => {},
      denied: async () => {},
      refused: async () => {},
      note: async () => {},
      close: async () => {},
    }
    const tools = await privilegedTools(lampTools)
    const operations = createOperations({ ...helperNeeds(), config: ownConfig({ log: silentLog }, own.configFile), record }, tools)
    const { caller } = plainCall()
    const perform = (method: string, given: object) =>
      operations.perform({
        ...plainCall(),
        link: 1,
        method,
        params: { arguments: given, principal: { name: 'ann', via: 'token' }, request: caller.requestId, source: caller.source },
        arguments: undefined,
        afterReply() {},
      })
    await expect(perform('lamp_set', kitchen)).rejects.toMatchObject({ code: 'operate.unrecorded', kind: 'unavailable' })
    expect(deeds).toEqual([])
    expect(await perform('lamp_watch', {})).toEqual({ output: { seen: '' } })
  })
})

describe('the helper is away', () => {
  test('that is told at once, and ends by itself when it is back', async () => {
    const own = testHelper(operator)
    const link = linkTo(own.socket)
    const from = performance.now()
    await expect(link.ask(lampSet, kitchen, plainCall())).rejects.toMatchObject({ code: 'operate.helper_away', kind: 'unavailable' })
    expect(await link.health()).toMatchObject({ ok: false })
    expect(performance.now() - from).toBeLessThan(1_000)
    const first = await own.start()
    await link.ask(lampSet, kitchen, plainCall())
    expect(await link.health()).toEqual({ ok: true })
    await first.close()
    await expect(link.ask(lampSet, kitchen, plainCall())).rejects.toMatchObject({ code: 'operate.helper_away' })
    await own.start()
    expect(await link.ask(lampSet, kitchen, plainCall())).toEqual(kitchen)
  })
  test('what is at work when it is stopped is done first', async () => {
    const own = testHelper(operator)
    const helper = await own.start()
    const link = linkTo(own.socket)
    const waiting = link.ask(lampWatch, { wait: true, fill: 2 }, plainCall())
    await expect.poll(() => own.recorded().length).toBe(2)
    const closed = helper.close()
    letGo()
    expect(await waiting).toEqual({ seen: 'xx' })
    await closed
    expect(own.recorded().at(-1)).toMatchObject({ event: 'helper.stopped' })
  })
})
