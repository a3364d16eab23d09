// Attacks of one principal on another, and of an argument on a command: whose process it is, whose streams, states and lists.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tokenHash } from '../../src/base/access/principal.ts'
import { fixtureCommand } from '../kit/fixture/process.ts'
import * as raw from '../kit/raw-client.ts'
import { listingServer, tool } from './doors.ts'
import { call, eras, gateFor, listen, modern, openSession, post, send, temporaryFolder, textOf, unrulyServer, until } from './bed.ts'

const tokens = { ann: 'a-token-of-ann', bob: 'a-token-of-bob' } as const
const everything = 'tools = ["*"]\nresources = ["*"]\nprompts = ["*"]\nmethods = ["*"]\n'
const access =
  Object.entries(tokens)
    .map(([name, token]) => `[gate.principals.${name}]\ntoken_sha256 = "${tokenHash(token)}"\n`)
    .join('') + `[[gate.rules]]\nprincipals = ["ann", "bob"]\nupstreams = ["*"]\n${everything}`

test.each(eras)('attack 21: a process that ran for one principal is never given to another, %s clients', async (era) => {
  const upstreams = Object.fromEntries(
    (['session', 'principal'] as const).map((isolation) => [
      isolation,
      { command: unrulyServer().command, more: `isolation = "${isolation}"\nidle = "1s"` },
    ]),
  )
  const gate = await gateFor({ upstreams, access })
  const owners = new Map<string, string>()
  for (let round = 0; round < 4; round++)
    for (const [name, token] of Object.entries(tokens))
      for (const isolation of Object.keys(upstreams)) {
        const options = { token }
        const answer =
          era === 'modern'
            ? await modern(gate.url(isolation), 'tools/call', { name: 'pid', arguments: {} }, options)
            : await call(gate.url(isolation), 'pid', {}, { ...options, session: await openSession(gate.url(isolation), options) })
        const pid = textOf(answer)!
        expect(pid).toMatch(/^\d+$/)
        expect(owners.get(pid) ?? name).toBe(name)
        owners.set(pid, name)
      }
})

test.each(['principal', 'shared'])(
  "attack 10: another's session, event, subscription and answer are nobody's, and end nothing of theirs: %s (CVE-2026-52869)",
  async (isolation) => {
    const gate = await gateFor({ upstreams: { up: { command: fixtureCommand, more: `isolation = "${isolation}"` } }, access })
    const url = gate.url('up')
    const ann = await raw.openSession(url, { token: tokens.ann })
    const bob = await raw.openSession(url, { token: tokens.bob })
    const stream = await ann.call(1, 'log_and_progress', { steps: 3 }, { progressToken: 1 })
    const { eventId } = (await stream.next())!
    await stream.rest()
    const asBob = { ...ann.headers, authorization: `Bearer ${tokens.bob}` }
    for (const headers of [
      { ...asBob, 'last-event-id': eventId! },
      { ...bob.headers, 'last-event-id': eventId! },
    ])
      expect([400, 404]).toContain((await raw.send(url, { method: 'GET', headers: { ...headers, accept: 'text/event-stream' } })).status)
    // What Bob cancels is his own, under the same id and under any that the call may have at the server.
    const slow = ann.call(7, 'slow', { ms: 500 })
    await until('it runs', async () => (await ann.call(7, 'echo', { text: 'x' }).then((reply) => reply.answer())).error !== undefined)
    for (let requestId = 0; requestId < 40; requestId++)
      for (const id of [requestId, `${requestId}`])
        await bob.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } })
    await raw.send(url, {
      body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } }),
      headers: asBob,
    })
    await raw.send(url, { method: 'DELETE', headers: asBob })
    expect(raw.textOf(await (await slow).answer())).toBe('waited 500')
    expect(raw.textOf(await (await ann.call(8, 'echo', { text: 'on' })).answer())).toBe('on')
    await listen(url, { ...ann.headers })
    expect((await raw.send(url, { method: 'GET', headers: { ...asBob, accept: 'text/event-stream' } })).status).toBe(404)
  },
)

test.each(eras)('attack 28: a list that is private to one principal is never told to another, %s clients', async (era) => {
  const gate = await gateFor({
    upstreams: { up: { command: fixtureCommand, more: 'isolation = "shared"' } },
    access: access.replace(
      `principals = ["ann", "bob"]\nupstreams = ["*"]\n${everything}`,
      `principals = ["ann"]\nupstreams = ["*"]\ntools = ["echo"]\n[[gate.rules]]\nprincipals = ["bob"]\nupstreams = ["*"]\ntools = ["count"]\n`,
    ),
  })
  const sessions =
    era === 'legacy'
      ? Object.fromEntries(
          await Promise.all(
            Object.entries(tokens).map(async ([name, token]) => [name, await openSession(gate.url('up'), { token })] as const),
          ),
        )
      : {}
  const names = async (who: keyof typeof tokens): Promise<unknown> => {
    const options = { token: tokens[who] }
    const answer =
      era === 'modern'
        ? await modern(gate.url('up'), 'tools/list', {}, options)
        : await post(gate.url('up'), 'tools/list', {}, { ...options, session: sessions[who]! })
    expect(answer.headers.get('cache-control') ?? 'no-store').toMatch(/no-store|no-cache|private/)
    if (era === 'modern') expect(answer.body.result!['cacheScope'] ?? 'private').toBe('private')
    return (answer.body.result!['tools'] as { name: string }[]).map(({ name }) => name)
  }
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, at) => (at % 2 === 0 ? [['echo'], await names('ann')] : [['count'], await names('bob')])),
  )
  for (const [expected, found] of answers) expect(found).toEqual(expected)
})

test.each(eras)("attacks 10, 28: another's cursor shows nothing but what its bearer may see anyway, %s clients", async (era) => {
  const names = ['ann-1', 'bob-1', 'ann-2', 'bob-2']
  const far = listingServer(...names.map((name) => [tool(name)]))
  const rules = Object.keys(tokens).map((name) => `[[gate.rules]]\nprincipals = ["${name}"]\nupstreams = ["*"]\ntools = ["${name}-*"]\n`)
  const gate = await gateFor({
    upstreams: { up: { command: far.command, more: 'isolation = "shared"' } },
    access: access.slice(0, access.indexOf('[[gate.rules]]')) + rules.join(''),
  })
  for (const url of [gate.url('up'), `http://127.0.0.1:${gate.port}/mcp`]) {
    const ask = async (who: keyof typeof tokens, cursor?: string) => {
      const options = { token: tokens[who] }
      const params = cursor === undefined ? {} : { cursor }
      const { body } =
        era === 'modern'
          ? await modern(url, 'tools/list', params, options)
          : await post(url, 'tools/list', params, { ...options, session: await openSession(url, options) })
      if (era === 'modern') expect(body.result!['cacheScope']).toBe('private') // the server says that it is for everybody
      const { tools, nextCursor } = body.result as { tools: { name: string }[]; nextCursor?: string }
      return { shown: tools.map(({ name }) => name.replace('up__', '')), nextCursor }
    }
    const shown = { ann: [] as string[], bob: [] as string[] }
    let cursor: string | undefined
    do {
      const [anns, bobs] = [await ask('ann', cursor), await ask('bob', cursor)]
      shown.ann.push(...anns.shown)
      shown.bob.push(...bobs.shown)
      cursor = anns.nextCursor
    } while (cursor !== undefined)
    expect(shown).toEqual({ ann: ['ann-1', 'ann-2'], bob: ['bob-1', 'bob-2'] })
  }
})

test('attack 19: a command is its argv, without a shell, in an environment that is listed', async () => {
  const folder = temporaryFolder()
  const out = join(folder, 'argv')
  const tricks = [
    `; touch ${folder}/a`,
    `$(touch ${folder}/b)`,
    `\`touch ${folder}/c\``,
    `| touch ${folder}/d`,
    `&& touch ${folder}/e`,
    '*',
    '~',
    '$HOME',
    '\n',
  ]
  process.env['MARK_OF_GATE'] = 'MARK-environment'
  process.env['NODE_OPTIONS_MARK'] = 'MARK-environment'
  const script = `require('fs').writeFileSync(${JSON.stringify(out)},JSON.stringify([process.argv.slice(1),process.env]))`
  const gate = await gateFor({
    upstreams: { up: { command: [process.execPath, '-e', script, ...tricks], more: 'env = { EXTRA = "$(touch x)" }' } },
  })
  await call(gate.url('up'), 'echo', { text: `$(touch ${folder}/f)` })
  await modern(gate.url('up'), `tools/call`, { name: `;touch ${folder}/g`, arguments: {} })
  const [argv, environment] = JSON.parse(readFileSync(out, 'utf8')) as [string[], Record<string, string>]
  expect(argv).toEqual(tricks)
  expect(environment['EXTRA']).toBe('$(touch x)')
  expect(JSON.stringify(environment)).not.toContain('MARK-')
  for (const name of 'abcdefg') expect(existsSync(join(folder, name))).toBe(false)
})

test('attack 26: a rule that could make a matcher go back and forth decides at once (CVE-2026-0621)', async () => {
  const gate = await gateFor({
    upstreams: { up: { command: unrulyServer().command } },
    access: access.replaceAll('tools = ["*"]', `tools = ["${'*a'.repeat(40)}*b"]`),
  })
  const from = performance.now()
  const answer = await modern(
    gate.url('up'),
    'tools/call',
    { name: 'a'.repeat(60_000), arguments: {} },
    { token: tokens.ann, headers: { 'mcp-name': undefined as never } },
  )
  expect(answer.body.error).toBeDefined()
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'a'.repeat(60_000), arguments: {} } })
  const session = await openSession(gate.url('up'), { token: tokens.ann })
  expect((await send(gate.url('up'), body, { token: tokens.ann, session })).body.error!.code).toBe(-32_001)
  expect(performance.now() - from).toBeLessThan(10_000)
})
