// Clients of others, used as people use them, with servers of others: what they print is the same directly and through the gate.
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type RunningGate, startGate } from '../kit/gate.ts'
import { type Bed, keyOf, plainEnvironment, strangersBed } from './bed.ts'
import { type Era, overStdio } from './conversation.ts'
import { clientDifferences } from './frames.ts'
import { type Server, freshFolder, script, servers } from './servers.ts'
import { stranger, strangersMissing } from './strangers.ts'

const missing = strangersMissing()
const urls = new Map<string, string>()
let bed: Bed
let gate: RunningGate
const listening = servers.filter(({ http }) => http)

beforeAll(async () => {
  if (missing !== undefined) return
  bed = await strangersBed()
  for (const server of listening) urls.set(keyOf(server), await bed.listening(server))
  for (const server of servers) freshFolder(server, bed.folderOf(server))
  const commands = servers.map((server) => [keyOf(server), bed.upstream(server)] as const)
  const addresses = listening.map((server) => [`${keyOf(server)}-http`, { url: urls.get(keyOf(server))! }] as const)
  gate = await startGate({ upstreams: Object.fromEntries([...commands, ...addresses]) })
})
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
afterAll(async () => {
  await gate?.stop()
  await bed?.close()
  console.log(`strangers: ${printed} outputs of clients were compared`)
})

/** A server as it stands in a client's configuration. */
type Entry = { readonly url: string } | { readonly command: string; readonly args: readonly string[]; readonly env: object }

function near(server: Server): Entry {
  const [command, ...args] = bed.argvOf(server)
  return { command, args, env: { ...plainEnvironment, ...bed.envOf(server) } }
}

const far = (server: Server): Entry => ({ url: gate.url(keyOf(server)) })

/** What the program printed, and how it ended. It has a home of its own, so that it reads nobody's settings. */
async function run(argv: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const home = join(bed.root, 'home')
  mkdirSync(home, { recursive: true })
  const options = { env: { PATH: plainEnvironment.PATH, HOME: home }, cwd: home, maxBuffer: 64 << 20, timeout: 60_000 }
  try {
    return { exitCode: 0, ...(await promisify(execFile)(process.execPath, argv, options)) }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { exitCode: code, stdout, stderr }
  }
}

let files = 0
function configured(server: Server, entry: Entry, more: object = {}): string {
  const file = join(bed.root, `client-${++files}.json`)
  writeFileSync(file, JSON.stringify({ mcpServers: { [keyOf(server)]: { ...more, ...entry } } }))
  return file
}

type Sample = { readonly tool: string; readonly given: object }
type Client = {
  readonly name: string
  readonly eras: readonly Era[]
  readonly servers: readonly Server[]
  /** Everything that it prints when it lists the tools, and when it calls one. */
  use(server: Server, entry: Entry, era: Era, sample: Sample): Promise<readonly unknown[]>
}

const named = (...names: readonly string[]): Server[] => servers.filter(({ package: name }) => names.some((part) => name.includes(part)))

const aiSdk = (given: object) => run([join(import.meta.dirname, 'ai-sdk-client.mjs'), JSON.stringify(given)])

const clients: readonly Client[] = [
  {
    name: 'the Inspector’s command line',
    eras: ['legacy', 'modern'],
    servers,
    async use(server, entry, era, { tool, given }) {
      const config = configured(server, entry, 'url' in entry ? { type: 'streamable-http' } : {})
      const common = [stranger('@modelcontextprotocol/inspector'), '--cli', '--config', config, '--server', keyOf(server), '--quiet']
      const call = ['--method', 'tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(given)]
      return [await run([...common, '--protocol-era', era, ...call])]
    },
  },
  {
    name: 'mcporter',
    eras: ['legacy'],
    servers: named('everything', 'server-filesystem', 'obsidian', 'git', 'tailwind', 'firecrawl'),
    async use(server, entry, _, { tool, given }) {
      const common = [stranger('mcporter'), '--config', configured(server, entry)]
      const list = await run([...common, 'list', keyOf(server), '--json'])
      const { tools, status } = JSON.parse(list.stdout) as { tools: unknown; status: unknown }
      const call = [...common, 'call', `${keyOf(server)}.${tool}`, '--args', JSON.stringify(given), '--output', 'raw']
      return [{ exitCode: list.exitCode, status, tools }, await run(call)]
    },
  },
  {
    name: 'the AI SDK’s client',
    eras: ['legacy', 'modern'],
    servers: named('everything', 'memory', 'kubb', 'effect', 'time', 'j0hanz'),
    use: async (_, entry, era, sample) => [await aiSdk({ entry, ...sample, protocolVersionDiscovery: era === 'modern' })],
  },
]

const cases = clients.flatMap((client) =>
  client.servers.flatMap((server) =>
    server.eras.filter((era) => client.eras.includes(era)).map((era) => ({ client, server, era, name: server.package, with: client.name })),
  ),
)

let printed = 0
test.each(cases)('$with with $name, $era', async ({ client, server, era }) => {
  const sample = server.sample(bed.folderOf(server))
  const use = (entry: Entry): Promise<readonly unknown[]> => client.use(server, entry, era, sample)
  const [direct, through] = await Promise.all([use(near(server)), use(far(server))])
  expect(through).toEqual(direct)
  if (!server.needsInternet) expect(direct).toEqual(direct.map(() => expect.objectContaining({ exitCode: 0 })))
  printed += direct.length
})

test('a client that takes the modern era where it can gets the same from a legacy server, and what the bridge adds', async () => {
  for (const server of named('effect', 'time')) {
    const use = async (entry: Entry) => {
      const { stdout } = await aiSdk({ entry, ...server.sample(bed.folderOf(server)), protocolVersionDiscovery: true })
      return JSON.parse(stdout) as { serverInfo: unknown; tools: unknown; result: object }
    }
    const [direct, through] = await Promise.all([use(near(server)), use(far(server))])
    const added = { resultType: 'complete', _meta: { 'io.modelcontextprotocol/serverInfo': direct.serverInfo } }
    expect(through).toEqual({ ...direct, result: { ...direct.result, ...added } })
    printed++
  }
})

describe('mcp-remote, which brings a server of HTTP to a client that speaks stdio', () => {
  // Without capabilities: whether a question comes through that a server asks before mcp-remote listens is a race, with and without the gate.
  const calm = listening.map((server) => ({ server: { ...server, capabilities: {} }, name: server.package }))
  test.each(calm)('$name', async ({ server }) => {
    const { answers = {}, clocks = [] } = server
    const folder = bed.folderOf(server)
    const seen: (readonly string[])[] = []
    for (const url of [urls.get(keyOf(server))!, gate.url(`${keyOf(server)}-http`)]) {
      freshFolder(server, folder)
      const home = { HOME: join(bed.root, 'home') }
      const conversation = overStdio([process.execPath, stranger('mcp-remote'), url], home, 'legacy', answers)
      for (const [id, { method, params, awaits }] of script(server, folder, 'legacy').entries()) {
        await conversation.ask(id, method, params)
        if (method === 'initialize') await conversation.tell('notifications/initialized')
        if (awaits) await conversation.saw(...awaits)
      }
      await conversation.close()
      seen.push(conversation.seen)
    }
    expect(clientDifferences({ direct: seen[0]!, through: seen[1]! }, clocks)).toEqual([])
    printed += seen[0]!.length
  })
})
