// The official client at servers of the other era, and the official conformance suite: what users' programs see of the bridge.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Difference, type Result, type Revision, compare, runConformance } from '../compat/conformance.ts'
import { type Fixture, fixtureOf, startFixture } from '../kit/fixture/process.ts'
import { type RunningGate, startGate } from '../kit/gate.ts'

let both: Fixture
let old: Fixture
let young: Fixture
let gate: RunningGate
const folder = mkdtempSync(join(tmpdir(), 'fairlead-bridge-'))
beforeAll(async () => {
  ;[both, old, young] = await Promise.all([startFixture(), startFixture('legacy'), startFixture('modern')])
  gate = await startGate({
    upstreams: {
      'old-http': { url: old.url },
      'old-stdio': { command: fixtureOf('legacy') },
      'young-http': { url: young.url },
      'young-stdio': { command: fixtureOf('modern') },
    },
    log: 'debug',
  })
})
const open: Client[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()))
})
afterAll(async () => {
  await gate?.stop()
  await Promise.all([both, old, young].map((fixture) => fixture?.stop()))
  rmSync(folder, { recursive: true, force: true })
})

const soon = { timeout: 10_000, interval: 10 }
const upstreams = ['old-http', 'old-stdio', 'young-http', 'young-stdio'] as const
const modes = ['legacy', 'auto', 'modern'] as const
const count = (upstream: string, wanted: RegExp): number => {
  const lines = upstream === 'old-http' ? old.stderr : upstream === 'young-http' ? young.stderr : gate.stderr
  return lines.filter((line) => wanted.test(line)).length
}

async function connect(upstream: string, mode: (typeof modes)[number]): Promise<{ client: Client; events: string[] }> {
  const client = new Client(
    { name: 'kit', version: '1' },
    {
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      versionNegotiation: { mode: mode === 'modern' ? { pin: '2026-07-28' } : mode },
    },
  )
  client.setRequestHandler('elicitation/create', () => ({
    action: 'accept' as const,
    content: { answer: 'blue', name: 'Ada', color: 'red' },
  }))
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant' as const,
    model: 'kit',
    content: { type: 'text' as const, text: 'a word' },
  }))
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///somewhere' }] }))
  const events: string[] = []
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void events.push(`updated ${params.uri}`))
  client.setNotificationHandler('notifications/tools/list_changed', () => void events.push('tools'))
  await client.connect(new StreamableHTTPClientTransport(new URL(gate.url(upstream))))
  open.push(client)
  return { client, events }
}

describe.each(upstreams.flatMap((upstream) => modes.map((mode) => [upstream, mode] as const)))('%s, client %s', (upstream, mode) => {
  test('works as at home', async () => {
    const { client, events } = await connect(upstream, mode)
    const text = async (name: string, given: Record<string, unknown> = {}): Promise<string> =>
      ((await client.callTool({ name, arguments: given })).content as { text: string }[])[0]!.text
    expect(client.getServerVersion()).toMatchObject({ name: 'fairlead-fixture' })
    expect(client.getInstructions()).toBe('A server for tests.')
    expect((await client.listTools()).tools.length).toBeGreaterThan(20)
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(2)
    expect((await client.listResources()).resources.length).toBe(3)
    expect((await client.listResourceTemplates()).resourceTemplates.length).toBe(1)
    expect((await client.readResource({ uri: 'test://static-text' })).contents).toMatchObject([{ uri: 'test://static-text' }])
    expect((await client.getPrompt({ name: 'test_simple_prompt' })).messages.length).toBe(1)
    expect(await text('echo', { text: 'grüße' })).toBe('grüße')
    expect(await text('ask', { question: 'which?' })).toContain('blue')
    expect(await text('sample', { prompt: 'say' })).toBe('a word')
    expect(await text('roots')).toBe('file:///somewhere')
    expect(await text('test_input_required_result_multi_round')).toBe('Ada likes red')
    const seen: number[] = []
    await client.callTool({ name: 'log_and_progress', arguments: { steps: 3 } }, { onprogress: ({ progress }) => void seen.push(progress) })
    expect(seen).toEqual([1, 2, 3])
    const uri = 'test://watched-resource'
    const isModern = client.getNegotiatedProtocolVersion() === '2026-07-28'
    expect(isModern).toBe(mode !== 'legacy')
    if (isModern) await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] })
    else await client.subscribeResource({ uri })
    await expect
      .poll(async () => {
        await text('touch', { uri })
        await text('test_trigger_tool_change')
        return [...new Set(events)].sort()
      }, soon)
      .toEqual(['tools', `updated ${uri}`])
    await expect(
      client
        .callTool({ name: 'no such tool', arguments: {} })
        .then(({ isError }) => Promise.reject(new Error(`error: ${String(isError)}`))),
    ).rejects.toThrow(/error: true|not found|unknown/i)
    await expect(client.readResource({ uri: 'test://nowhere' })).rejects.toThrow(/not found/i)
  })

  test('a call that is aborted is cancelled at the far end', async () => {
    const { client } = await connect(upstream, mode)
    const [started, cancelled] = [count(upstream, /started /), count(upstream, /cancelled /)]
    const abort = new AbortController()
    const call = client.callTool({ name: 'hang', arguments: {} }, { signal: abort.signal }).catch((error: unknown) => String(error))
    await expect.poll(() => count(upstream, /started /), soon).toBe(started + 1)
    abort.abort()
    expect(await call).toMatch(/abort/i)
    await expect.poll(() => count(upstream, /cancelled /), soon).toBe(cancelled + 1)
    expect((await client.callTool({ name: 'echo', arguments: { text: 'on' } })).content).toMatchObject([{ text: 'on' }])
  })
})

/** What no bridge can carry (docs/guide/eras.md), as the suite sees it. Everything else must be as with a server that speaks the client's era itself. */
const unbridgeable: readonly { readonly revision: Revision; readonly scenario: string; readonly reason: string }[] = [
  {
    revision: '2026-07-28',
    scenario: 'input-required-result-basic-elicitation',
    reason: 'the suite wants a question under a name that only the server knows; a legacy server gives its questions no names',
  },
  {
    revision: '2026-07-28',
    scenario: 'server-stateless',
    reason: 'a legacy server that lacks a capability of its client says so in its own way, not with −32021',
  },
  {
    revision: '2026-07-28',
    scenario: 'tasks-dispatch-and-envelope',
    reason:
      'an id that no server has handed out is refused by the gate, as the suite wants it, before a server without tasks says that it has none',
  },
  { revision: '2025-11-25', scenario: 'server-sse-polling', reason: 'a modern server has no stream that could be gone on with' },
  { revision: '2025-11-25', scenario: 'server-sse-multiple-streams', reason: 'one JSON body or a stream: the choice of who speaks HTTP' },
]

describe.each([
  ['2026-07-28', ['old-http', 'old-stdio']],
  ['2025-11-25', ['young-http', 'young-stdio']],
] as const)('conformance %s at a server of the other era', (revision, served) => {
  let direct: Result
  let runs = 0
  const run = (url: string): Promise<Result> =>
    runConformance({ url, requirements: revision, outDir: join(folder, `${revision}-${++runs}`) })
  beforeAll(async () => {
    direct = await run(both.url)
  })

  test.each(served)('%s: the same verdicts, save what cannot be bridged', { retry: 1, timeout: 60_000 }, async (upstream) => {
    const differences = compare(direct, await run(gate.url(upstream)))
    const isExcused = ({ scenario }: Difference): boolean =>
      unbridgeable.some((entry) => entry.revision === revision && entry.scenario === scenario)
    expect(differences.filter((difference) => !isExcused(difference))).toEqual([])
    expect(
      differences.filter(({ scenario, through }) => scenario === 'server-stateless' && through === 'FAILURE').length,
    ).toBeLessThanOrEqual(2)
  })
})
