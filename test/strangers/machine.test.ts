// Clients of others with the machine tools, over stdio and over HTTP: they list the same tools, and call one that looks, one that the helper does, and one that is refused.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { plainEnvironment } from './bed.ts'
import type { Era } from './conversation.ts'
import { stranger, strangersMissing } from './strangers.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const missing = strangersMissing()
let root: string
let url: string
const children: ChildProcess[] = []

/** Starts a daemon, and resolves with what it prints when it is ready. */
async function started(...args: readonly string[]): Promise<Record<string, string>> {
  const child = spawn(process.execPath, [main, 'operate', ...args, '--json'], { env: environment(), stdio: ['ignore', 'pipe', 'ignore'] })
  children.push(child)
  let text = ''
  for await (const line of createInterface({ input: child.stdout })) {
    text += line
    if (line === '}' || text.endsWith('}')) break
  }
  return JSON.parse(text) as Record<string, string>
}

const environment = (): Record<string, string> => ({ PATH: plainEnvironment.PATH, HOME: root, FAIRLEAD_HOME: join(root, 'home') })
const config = (): string => join(root, 'config.yml')

beforeAll(async () => {
  if (missing !== undefined) return
  root = mkdtempSync(join(tmpdir(), 'fairlead-machine-'))
  mkdirSync(join(root, 'run'), { mode: 0o750 })
  const text = [
    'server: { port: 0, role: operator }',
    'hardware: { backend: simulated }',
    `helper: { socket: ${join(root, 'run/ops-agent.sock')}, ledger: ${join(root, 'ledger')}, server_max_role: operator, allow: { pins: ["gpiochip0:17"] } }`,
  ]
  writeFileSync(config(), `${text.join('\n')}\n`, { mode: 0o600 })
  await started('agent', '--config', config())
  url = (await started('server', '--config', config()))['url']!
})
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
afterAll(() => {
  for (const child of children) child.kill()
  if (root) rmSync(root, { recursive: true, force: true })
})

type Entry = { readonly url: string } | { readonly command: string; readonly args: readonly string[]; readonly env: object }
type Result = { readonly structuredContent?: Record<string, unknown>; readonly isError?: boolean }
type Told = { readonly tools: readonly { readonly name: string }[]; readonly results: readonly Result[] }
type Asked = readonly [tool: string, given: object]

const entryOf = (way: 'stdio' | 'HTTP'): Entry =>
  way === 'HTTP'
    ? { url }
    : { command: process.execPath, args: [main, 'operate', 'server', '--stdio', '--config', config()], env: environment() }

async function run(argv: readonly string[]): Promise<string> {
  const options = { env: environment(), cwd: root, maxBuffer: 64 << 20, timeout: 60_000 }
  // Some clients end with 1 when a tool says that it failed
  return promisify(execFile)(process.execPath, argv, options).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout ?? '',
  )
}

let files = 0
function configured(entry: Entry): string {
  const file = join(root, `client-${++files}.json`)
  const type = 'url' in entry ? { type: 'streamable-http' } : {}
  writeFileSync(file, JSON.stringify({ mcpServers: { machine: { ...type, ...entry } } }))
  return file
}

type Client = {
  readonly name: string
  readonly eras: readonly Era[]
  /** Lists the tools, and calls some. */
  use(entry: Entry, era: Era, calls: readonly Asked[]): Promise<Told>
}
const clients: readonly Client[] = [
  {
    name: 'the AI SDK’s client',
    eras: ['legacy', 'modern'],
    async use(entry, era, calls) {
      const one = async ([tool, given]: Asked): Promise<Pick<Told, 'tools'> & { readonly result: Result }> => {
        const ask = JSON.stringify({ entry, tool, given, protocolVersionDiscovery: era === 'modern' })
        return JSON.parse(await run([join(import.meta.dirname, 'ai-sdk-client.mjs'), ask]))
      }
      const all = await Promise.all(calls.map(one))
      return { tools: all[0]!.tools, results: all.map(({ result }) => result) }
    },
  },
  {
    name: 'the Inspector’s command line',
    eras: ['legacy', 'modern'],
    async use(entry, era, calls) {
      const common = [stranger('@modelcontextprotocol/inspector'), '--cli', '--config', configured(entry), '--server', 'machine', '--quiet']
      const ask = async (...more: string[]): Promise<unknown> =>
        JSON.parse(await run([...common, '--protocol-era', era, '--method', ...more]))
      const one = ([tool, given]: Asked): Promise<unknown> =>
        ask('tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(given))
      const [list, ...results] = await Promise.all([ask('tools/list'), ...calls.map(one)])
      return { ...(list as Pick<Told, 'tools'>), results: results as Result[] }
    },
  },
  {
    name: 'mcporter',
    eras: ['legacy'],
    async use(entry, _, calls) {
      const common = [stranger('mcporter'), '--config', configured(entry)]
      const one = async ([tool, given]: Asked): Promise<Result> => {
        const argv = [...common, 'call', `machine.${tool}`, '--args', JSON.stringify(given), '--output', 'json']
        const said = JSON.parse(await run(argv)) as Result & Record<string, unknown>
        return said.isError ? said : { structuredContent: said } // it prints the answer itself
      }
      const list = run([...common, 'list', 'machine', '--json'])
      const results = await Promise.all(calls.map(one))
      return { ...(JSON.parse(await list) as Pick<Told, 'tools'>), results }
    },
  },
]

const cases = clients.flatMap((client) =>
  client.eras.flatMap((era) => (['stdio', 'HTTP'] as const).map((way) => ({ client, era, way, name: client.name }))),
)

test.each(cases)('$name, $era, over $way', async ({ client, era, way }) => {
  const { tools, results } = await client.use(entryOf(way), era, [
    ['system_get_capabilities', {}],
    ['gpio_write_pin', { pin: 17, level: 'high' }],
    ['gpio_write_pin', { pin: 18, level: 'high' }],
  ])
  const names = ['gpio_read_pin', 'network_list_listeners', 'process_list', 'system_get_capabilities']
  expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(names))
  const [capabilities, written, refused] = results
  expect(capabilities!.structuredContent).toMatchObject({ isHardwareSimulated: true, sandbox: 'disabled' })
  expect(written!.structuredContent).toMatchObject({ pin: 17, direction: 'output', level: 'high', simulated: true })
  expect(JSON.stringify(refused)).toContain('gpiochip0:18')
  expect(refused!.isError).toBe(true)
})
