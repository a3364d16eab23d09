// Proves the fixture server itself, over both transports and in both eras, with the official client.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Fixture, fixtureCommand, startFixture } from './fixture/process.ts'

type Era = 'legacy' | 'modern'
type Transport = 'http' | 'stdio'
const sides: readonly (readonly [Transport, Era])[] = [
  ['http', 'legacy'],
  ['http', 'modern'],
  ['stdio', 'legacy'],
  ['stdio', 'modern'],
]

let fixture: Fixture
const open: Client[] = []
beforeAll(async () => {
  fixture = await startFixture()
})
afterAll(() => fixture?.stop())
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()))
})

type Side = {
  readonly client: Client
  readonly text: (name: string, args?: Record<string, unknown>) => Promise<string>
  readonly said: (line: RegExp) => Promise<void>
  readonly events: readonly string[]
}

/** Connects a client that answers every kind of question. */
async function connect(transport: Transport, era: Era): Promise<Side> {
  const client = new Client(
    { name: 'kit', version: '1' },
    {
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' },
    },
  )
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { answer: 'blue' } }))
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant' as const,
    model: 'kit',
    content: { type: 'text' as const, text: 'a word' },
  }))
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///somewhere' }] }))
  const events: string[] = []
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void events.push(`updated ${params.uri}`))
  client.setNotificationHandler('notifications/tools/list_changed', () => void events.push('tools'))
  const errors: string[] = []
  const from = fixture.stderr.length
  let lines: ReturnType<typeof createInterface> | undefined
  if (transport === 'http') await client.connect(new StreamableHTTPClientTransport(new URL(fixture.url)))
  else {
    const [command, ...args] = fixtureCommand
    const stdio = new StdioClientTransport({ command: command!, args, stderr: 'pipe' })
    lines = createInterface({ input: stdio.stderr as Readable }).on('line', (line) => errors.push(line))
    await client.connect(stdio)
  }
  open.push(client)
  return {
    client,
    events,
    text: async (name, args = {}) => {
      const { content } = await client.callTool({ name, arguments: args })
      const [first] = content as { type: string; text?: string }[]
      return first?.text ?? ''
    },
    said: async (wanted) => {
      if (!lines) return fixture.said(wanted, { from })
      const signal = AbortSignal.timeout(10_000)
      while (!errors.some((line) => wanted.test(line))) await once(lines, 'line', { signal })
    },
  }
}

const soon = { timeout: 10_000, interval: 20 }

describe.each(sides)('%s, %s', (transport, era) => {
  test('echoes, counts, grows, and says which side it is on', async () => {
    const { text } = await connect(transport, era)
    expect(await text('echo', { text: 'grüß dich' })).toBe('grüß dich')
    const before = Number(await text('count', { name: `${transport}-${era}` }))
    expect(Number(await text('count', { name: `${transport}-${era}` }))).toBe(before + 1)
    expect(JSON.parse(await text('counts'))).toMatchObject({ [`${transport}-${era}`]: before + 1 })
    expect((await text('big', { kilobytes: 300 })).length).toBe(300 * 1024)
    expect(JSON.parse(await text('seen'))).toMatchObject({ era, transport, client: { name: 'kit' }, capabilities: { sampling: {} } })
  })

  test('asks the client and uses the answer', async () => {
    const { text } = await connect(transport, era)
    expect(await text('ask', { question: 'which colour?' })).toBe('action=accept, content={"answer":"blue"}')
    expect(await text('sample', { prompt: 'say a word' })).toBe('a word')
    expect(await text('roots')).toBe('file:///somewhere')
  })

  test('reports progress', async () => {
    const { client } = await connect(transport, era)
    const seen: number[] = []
    await client.callTool({ name: 'log_and_progress', arguments: { steps: 4 } }, { onprogress: ({ progress }) => void seen.push(progress) })
    expect(seen).toEqual([1, 2, 3, 4])
  })

  test.each(['slow', 'hang'])('%s can be cancelled, and says so', async (name) => {
    const { client, said } = await connect(transport, era)
    const abort = new AbortController()
    const call = client.callTool({ name, arguments: { ms: 60_000 } }, { signal: abort.signal }).catch((error: unknown) => String(error))
    await said(/^started /)
    abort.abort()
    expect(await call).toMatch(/abort/i)
    await said(/^cancelled /)
  })

  test('announces changes to who asked for them', async () => {
    const { client, text, events } = await connect(transport, era)
    const uri = 'test://watched-resource'
    if (era === 'legacy') await client.subscribeResource({ uri })
    else await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] })
    await text('touch', { uri: 'test://static-text' })
    await text('touch', { uri })
    await text('test_trigger_tool_change')
    await expect.poll(() => events, soon).toEqual([`updated ${uri}`, 'tools'])
  })
})

test('crash ends the process at once', async () => {
  const { client } = await connect('stdio', 'modern')
  await expect(client.callTool({ name: 'crash', arguments: {} })).rejects.toThrow(/closed/i)
})

test('over stdio the process ends with its input', async () => {
  const { text, client } = await connect('stdio', 'legacy')
  const { pid } = JSON.parse(await text('seen')) as { pid: number }
  await client.close()
  await expect.poll(() => isAlive(pid), soon).toBe(false)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
