// Servers of others, spoken to directly and through the gate by the same script: what both ends are given is the same, byte for byte.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { type GateUpstream, type RunningGate, startGate } from '../kit/gate.ts'
import { type Bed, keyOf, strangersBed } from './bed.ts'
import { type Conversation, overHttp, overStdio } from './conversation.ts'
import { clientDifferences, passedOn, serverDifferences } from './frames.ts'
import { type Recorded, type RecordingProxy, recordingProxy } from './recording-proxy.ts'
import { type Server, freshFolder, script, servers } from './servers.ts'
import { strangersMissing, versionOf } from './strangers.ts'

const missing = strangersMissing()
const proxies = new Map<string, RecordingProxy>()
let bed: Bed
let gate: RunningGate

const casesOf = (some: readonly Server[]) => some.flatMap((server) => server.eras.map((era) => ({ name: server.package, server, era })))
const listening = servers.filter(({ http }) => http)

const logOf = (name: string): string => join(bed.root, `${name}.log`)
const recorder = (name: string): readonly [string, ...string[]] => [process.execPath, join(import.meta.dirname, 'recorder.ts'), logOf(name)]

/** What the server was sent, by the recorder. */
function given(name: string): string[] {
  if (!existsSync(logOf(name))) return []
  const lines = readFileSync(logOf(name), 'utf8').split('\n')
  return lines.filter((line) => line.startsWith('>')).map((line) => line.slice(1))
}

beforeAll(async () => {
  if (missing !== undefined) return
  bed = await strangersBed()
  const upstreams: Record<string, GateUpstream> = {}
  for (const { server, era } of casesOf(servers))
    upstreams[`${keyOf(server)}-${era}`] = bed.upstream(server, recorder(`${keyOf(server)}-${era}-gate`))
  for (const server of listening) {
    const proxy = await recordingProxy(await bed.listening(server))
    proxies.set(server.package, proxy)
    for (const era of server.eras) upstreams[`${keyOf(server)}-http-${era}`] = { url: proxy.url }
  }
  gate = await startGate({ upstreams })
})
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
afterAll(async () => {
  await gate?.stop()
  await Promise.all([...proxies.values()].map((proxy) => proxy.close()))
  await bed?.close()
  console.log(`strangers: ${compared} frames were compared`)
})

/** Says the whole script, one thing after the other, where the server finds what it always finds. */
async function play(conversation: Conversation, server: Server): Promise<Conversation> {
  const folder = bed.folderOf(server)
  freshFolder(server, folder)
  for (const [id, { method, params, awaits }] of script(server, folder, conversation.era).entries()) {
    await conversation.ask(id, method, params)
    if (method === 'initialize') await conversation.tell('notifications/initialized')
    if (awaits) await conversation.saw(...awaits)
  }
  return conversation
}

let compared = 0
function count(what: string, seen: readonly string[], sent: readonly string[]): void {
  compared += seen.length + sent.length
  console.log(`${what}: ${seen.length} frames to the client and ${sent.length} to the server are the same with and without the gate`)
}

const soon = { timeout: 3_000, interval: 20 }

describe('over stdio', () => {
  test.each(casesOf(servers))('$name, $era', async ({ server, era }) => {
    const key = `${keyOf(server)}-${era}`
    const { answers = {}, clocks = [] } = server
    const direct = await play(overStdio([...recorder(`${key}-direct`), ...bed.argvOf(server)], bed.envOf(server), era, answers), server)
    await direct.close()

    const through = await play(overHttp(gate.url(key), era, answers), server)
    await expect.poll(() => clientDifferences({ direct: direct.seen, through: through.seen }, clocks), soon).toEqual([])
    await through.close()
    const was = given(`${key}-direct`)
    const sides = () => ({ direct: was, through: given(`${key}-gate`) })
    await expect.poll(() => serverDifferences(sides(), clocks), soon).toEqual([])
    count(`${server.package}, ${era}, stdio`, through.seen, passedOn(sides()))
  })
})

/** What was sent, in order for each method: a GET stream and the next POST take two ways. */
function sentBy(requests: readonly Recorded[], method: string): readonly Recorded[] {
  return requests.filter((request) => request.method === method)
}

describe('over HTTP', () => {
  test.each(casesOf(listening))('$name, $era', async ({ server, era }) => {
    const { answers = {}, clocks = [] } = server
    const proxy = proxies.get(server.package)!
    const direct = await play(overHttp(proxy.url, era, answers), server)
    await direct.close()
    const was = proxy.taken()

    const through = await play(overHttp(gate.url(`${keyOf(server)}-http-${era}`), era, answers), server)
    await expect.poll(() => clientDifferences({ direct: direct.seen, through: through.seen }, clocks), soon).toEqual([])
    expect(through.statuses).toEqual(direct.statuses)
    await through.close()
    const is = proxy.taken()
    const bodies = (requests: readonly Recorded[]): string[] => sentBy(requests, 'POST').map(({ body }) => body)
    const sides = { direct: bodies(was), through: bodies(is) }
    expect(serverDifferences(sides, clocks)).toEqual([])
    const passed = new Set(passedOn(sides))
    for (const method of ['POST', 'GET', 'DELETE']) {
      const heads = (requests: readonly Recorded[]): string[] => sentBy(requests, method).map(({ said }) => said)
      expect(heads(is.filter(({ body }) => body === '' || passed.has(body)))).toEqual(heads(was))
    }
    count(`${server.package}, ${era}, HTTP`, through.seen, passedOn(sides))
  })
})

test('the guide names every server and client with its version, its eras, and how it is spoken to', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../docs/guide/compatibility.md'), 'utf8').replaceAll('’', "'")
  for (const server of servers) {
    const eras = server.eras.length > 1 ? 'both' : server.eras[0]!
    const row = guide.split('\n').find((line) => line.startsWith(`| \`${server.package}\` | ${versionOf(server.package)} | `))
    expect([server.package, row]).toEqual([
      server.package,
      expect.stringContaining(` | ${eras} | ${server.http ? 'stdio, HTTP' : 'stdio'} |`),
    ])
    expect(row).toContain(server.madeWith.split(/[,’]/)[0])
  }
  for (const client of ['@modelcontextprotocol/inspector', 'mcporter', '@ai-sdk/mcp', 'mcp-remote'])
    expect(guide).toMatch(new RegExp(`^\\| \`${client}\`.* \\| ${versionOf(client)} \\|`, 'm'))
})

test('what a rule changes, and nothing else: the list is shorter, and a refused call does not reach the server', async () => {
  const server = servers.find(({ package: name }) => name.endsWith('/server-memory'))!
  const rule = '[gate.principals.reader]\n[[gate.rules]]\nprincipals = ["reader"]\nupstreams = ["*"]\ntools = ["*_nodes", "read_graph"]\n'
  const settings = 'door = "reader"\n'
  const strict = await startGate({ upstreams: { memory: bed.upstream(server, recorder('strict')) }, settings, access: rule })
  later(() => strict.stop())
  const direct = overStdio([...recorder('lenient'), ...bed.argvOf(server)], bed.envOf(server), 'legacy', {})
  const through = overHttp(strict.url('memory'), 'legacy', {})
  for (const conversation of [direct, through]) {
    freshFolder(server, bed.folderOf(server))
    const [initialize] = script(server, bed.folderOf(server), 'legacy')
    await conversation.ask(0, 'initialize', initialize!.params)
    await conversation.tell('notifications/initialized')
    await conversation.ask(1, 'tools/list', {})
    await conversation.ask(2, 'tools/call', { name: 'delete_entities', arguments: { entityNames: ['oak'] } })
    await conversation.ask(3, 'tools/call', { name: 'read_graph', arguments: {} })
    await conversation.close()
  }
  const [opened, list, deleted, read] = direct.seen as [string, string, string, string]
  const { tools } = (JSON.parse(list) as { result: { tools: { name: string }[] } }).result
  const shown = tools.filter(({ name }) => /_nodes$|^read_graph$/.test(name))
  expect([tools.length, shown.length]).toEqual([9, 3])
  const expected = [opened, list.replace(JSON.stringify(tools), JSON.stringify(shown)), through.seen[2], through.seen[3]]
  expect(through.seen).toEqual(expected)
  expect(JSON.parse(deleted)).toMatchObject({ result: { content: [{ text: 'Entities deleted successfully' }] } })
  expect(JSON.parse(through.seen[2]!)).toMatchObject({ id: 2, error: { code: -32_001 } })
  expect([through.seen[3], read]).toEqual([expect.stringContaining('oak'), expect.not.stringContaining('oak')])
  const asked = given('lenient')
  const sent = passedOn({ direct: asked, through: given('strict') })
  expect(sent).toEqual(asked.filter((frame) => !frame.includes('delete_entities')))
})
