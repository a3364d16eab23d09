// A real MCP client and real MCP servers, none of them ours, on the two sides of a tunnel: what the client is given is what it is given without us.
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { main } from '../kit/program.ts'
import { type Person, type ReachBench, local, reachBench } from '../kit/reach-bench.ts'
import { stranger, strangersMissing } from './strangers.ts'

const missing = strangersMissing()
let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

type Argv = readonly [string, ...string[]]
type Inspected = { readonly exitCode: number; readonly answer: unknown }
/** Asks the server of that name in the client's configuration. */
type Ask = (server: string, method: string, ...more: string[]) => Promise<Inspected>

/** The Inspector's command line, with a configuration as Claude Desktop has it. */
function inspector({ home }: Person, servers: Readonly<Record<string, Argv>>): Ask {
  const folder = join(bench.folder, home)
  const config = join(folder, 'mcp.json')
  const entries = Object.entries(servers).map(([name, [command, ...args]]) => [name, { command, args }] as const)
  mkdirSync(folder, { recursive: true })
  writeFileSync(config, JSON.stringify({ mcpServers: Object.fromEntries(entries) }))
  return async (server, method, ...more) => {
    const argv = [stranger('@modelcontextprotocol/inspector'), '--cli', '--config', config, '--server', server, '--method', method, ...more]
    const env = { HOME: folder, PATH: process.env['PATH']! }
    const options = { env, maxBuffer: 64 << 20, timeout: 60_000 }
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [...argv, '--quiet'], options)
      return { exitCode: 0, answer: JSON.parse(stdout) as unknown }
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
      return { exitCode: code, answer: stdout === '' ? stderr : (JSON.parse(stdout) as unknown) }
    }
  }
}

/** The same server twice: `far` behind mcp-serve at another peer, `near` as a child of the client's own. */
async function bothSides(argv: Argv): Promise<Ask> {
  const [box, mac] = await bench.people(1)
  const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', argv.join(' '), ...local)
  const far = [process.execPath, main, 'reach', 'mcp-connect', box!.peerId, '--address', serving.addresses[0]!] as const
  return inspector(mac!, { far, near: argv })
}

/** Asks both sides, and expects of the tunnel what comes without it. */
async function asWithout(ask: Ask, method: string, ...more: string[]): Promise<Inspected> {
  const [near, far] = await Promise.all([ask('near', method, ...more), ask('far', method, ...more)])
  expect(far).toEqual(near)
  return far
}

const call = (tool: string, given: object): string[] => ['--tool-name', tool, '--tool-args-json', JSON.stringify(given)]
const textOf = ({ answer }: Inspected): string => (answer as { content: { text: string }[] }).content[0]!.text

describe('the Inspector’s command line through mcp-connect', () => {
  test('@modelcontextprotocol/server-filesystem: lists, reads, searches, refuses and writes', { timeout: 300_000 }, async () => {
    const files = join(bench.folder, 'projects')
    mkdirSync(files)
    const large = 'ä\u2028"\\\n'.repeat(200_000)
    writeFileSync(join(files, 'where.txt'), 'under the third oak\n')
    writeFileSync(join(files, 'large.txt'), large)
    const ask = await bothSides([process.execPath, stranger('@modelcontextprotocol/server-filesystem'), files])
    const read = (path: string): string[] => call('read_text_file', { path })
    const [list, small, whole, refused] = await Promise.all([
      asWithout(ask, 'tools/list'),
      asWithout(ask, 'tools/call', ...read(join(files, 'where.txt'))),
      asWithout(ask, 'tools/call', ...read(join(files, 'large.txt'))),
      asWithout(ask, 'tools/call', ...read('/etc/passwd')),
      asWithout(ask, 'tools/call', ...call('search_files', { path: files, pattern: '**/*.txt' })),
    ])
    expect((list.answer as { tools: unknown[] }).tools.length).toBeGreaterThan(10)
    expect([textOf(small), textOf(whole) === large]).toEqual(['under the third oak\n', true])
    expect(refused.answer).toMatchObject({ isError: true })
    const text = 'written from afar\n'
    await ask('far', 'tools/call', ...call('write_file', { path: join(files, 'new.txt'), content: text }))
    expect(readFileSync(join(files, 'new.txt'), 'utf8')).toBe(text)
  })

  test(
    '@modelcontextprotocol/server-everything: tools, resources, prompts, progress, and many calls at once',
    { timeout: 300_000 },
    async () => {
      const ask = await bothSides([process.execPath, stranger('@modelcontextprotocol/server-everything')])
      const lists = ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'].map((method) => asWithout(ask, method))
      for (const { answer } of await Promise.all(lists)) expect(JSON.stringify(answer).length).toBeGreaterThan(200)
      const [echoed] = await Promise.all([
        asWithout(ask, 'tools/call', ...call('echo', { message: 'hello' })),
        asWithout(ask, 'tools/call', ...call('get-tiny-image', {})),
        asWithout(ask, 'tools/call', ...call('trigger-long-running-operation', { duration: 1, steps: 4 })),
        asWithout(ask, 'prompts/get', '--prompt-name', 'args-prompt', '--prompt-args', 'city=Bonn'),
        asWithout(ask, 'resources/read', '--uri', 'demo://resource/static/document/architecture.md'),
      ])
      expect(textOf(echoed)).toBe('Echo: hello')
      const load = ['--load', '--load-requests', '500', '--load-concurrency', '16']
      expect(await ask('far', 'tools/call', ...call('echo', { message: 'x' }), ...load)).toMatchObject({
        exitCode: 0,
        answer: { requests: 500, ok: 500, errors: 0 },
      })
    },
  )
})

test('npx fetches and runs the server, exactly as the runbook writes the command', { timeout: 300_000 }, async () => {
  const [box, mac] = await bench.people(1)
  // as on this machine: where packages come from, what was fetched before, and whom the network wants trusted
  const trusted = process.env['NODE_EXTRA_CA_CERTS']
  const settings = [`registry=${npmSetting('registry')}`, `cache=${npmSetting('cache')}`, ...(trusted ? [`cafile=${trusted}`] : [])]
  writeFileSync(join(bench.folder, box!.home, '.npmrc'), `${settings.join('\n')}\n`)
  const files = join(bench.folder, 'served')
  mkdirSync(files)
  const command = `npx -y @modelcontextprotocol/server-filesystem ${files}`
  const serving = await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', command, ...local)
  const client = bench.client(mac!.home, box!.peerId, '--address', serving.addresses[0]!)
  expect((await client.initialize()).result).toMatchObject({ serverInfo: { name: 'secure-filesystem-server' } })
  expect(await client.call('list_allowed_directories')).toContain(files)
  client.process.stdin.end()
  expect(await client.ended).toBe(0)
})

function npmSetting(key: string): string {
  return execFileSync('npm', ['config', 'get', key], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
