// A tool is one file: put one into a copy of the source, and it is there with schema, role, record, sandbox, list and documentation, though nothing else was written.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cleanUp, keep, later } from '../kit/cleanup.ts'

const root = resolve(import.meta.dirname, '../..')
const tool = `// bell_ring: rings a bell.
import { z } from 'zod'
import { writeWhole } from '../../kernel/file.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'bell_ring',
  title: 'Ring a bell',
  description: 'Rings a bell of this machine, which is heard far away.',
  input: z.strictObject({ bell: z.string().min(1).max(40).describe('Which one.'), times: z.int().min(1).max(9).default(1) }),
  output: z.object({ rung: z.int(), pid: z.int().describe('Whose process rang it.') }),
  annotations: { destructiveHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ bell }) => [{ list: 'pins', name: bell }],
    async perform({ config }, { bell, times }) {
      writeWhole(\`\${config.helper.ledger}/../\${bell}.rung\`, String(times))
      return { rung: times, pid: process.pid }
    },
  },
  simulate: ({ times }) => ({ rung: times, pid: 0 }),
})
`

let copy: string
let helper: ChildProcess
const config = (maxRole: string, sandbox: string): string =>
  `helper:\n  socket: ${copy}/run/ops-agent.sock\n  ledger: ${copy}/ledger\n  server_max_role: ${maxRole}\n  allow: {pins: [great]}\ntesting:\n  sandbox_mode: "${sandbox}"\n`
const configure = (maxRole: string, sandbox = 'disabled'): void =>
  writeFileSync(join(copy, 'config.yml'), config(maxRole, sandbox), { mode: 0o640 })
const fairlead = (...words: string[]): string =>
  execFileSync(process.execPath, [join(copy, 'src/main.ts'), ...words], { encoding: 'utf8', cwd: copy })

beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), 'fairlead-one-file-'))
  later(() => rmSync(copy, { recursive: true }))
  for (const part of ['src', 'scripts', 'package.json']) cpSync(join(root, part), join(copy, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  mkdirSync(join(copy, 'run'), { mode: 0o750 })
  writeFileSync(join(copy, 'src/operate/tools/bell-ring.ts'), tool)
  execFileSync(process.execPath, [join(copy, 'scripts/generate.ts')], { stdio: 'pipe' })
  configure('operator')
  helper = spawn(process.execPath, [join(copy, 'src/main.ts'), 'operate', 'agent', '--config', join(copy, 'config.yml')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  later(async () => {
    helper.kill()
    await once(helper, 'exit')
  })
  await once(helper.stdout!, 'data')
  keep()
}, 60_000)
afterAll(cleanUp)

async function client(): Promise<Client> {
  const made = new Client({ name: 'test', version: '1' })
  const args = [join(copy, 'src/main.ts'), 'operate', 'server', '--stdio', '--config', join(copy, 'config.yml')]
  await made.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }))
  later(() => made.close())
  return made
}
const ring = async (by: Client, bell: string) => by.callTool({ name: 'bell_ring', arguments: { bell, times: 3 } })
const recorded = () =>
  readFileSync(join(copy, 'ledger/audit.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

test('it is in the list of permissions, and in the documentation', () => {
  const { tools } = JSON.parse(fairlead('operate', 'tools', '--json')) as { tools: { tool: string }[] }
  expect(tools.find((row) => row.tool === 'bell_ring')).toEqual({
    tool: 'bell_ring',
    title: 'Ring a bell',
    description: 'Rings a bell of this machine, which is heard far away.',
    role: 'operator',
    effect: 'change',
    by: 'helper',
    isListed: true,
    sandbox: { disabled: 'real', partial: 'simulated', full: 'simulated' },
  })
  const page = readFileSync(join(copy, 'docs/reference/machine-tools.md'), 'utf8')
  expect(page).toContain('| [bell_ring](#bell_ring) | operator | change | helper, by list | simulated | simulated |')
  expect(page).toContain('*Ring a bell.* Rings a bell of this machine, which is heard far away.')
})

test('a client finds it with its schemas, the helper does it and records it, by role, list and sandbox', async () => {
  const first = await client()
  const listed = (await first.listTools()).tools.find(({ name }) => name === 'bell_ring')
  expect(listed).toMatchObject({
    title: 'Ring a bell',
    inputSchema: { required: ['bell'], properties: { bell: { description: 'Which one.' }, times: { default: 1, maximum: 9 } } },
    outputSchema: { required: ['rung', 'pid'] },
    annotations: { destructiveHint: false },
  })
  expect((await ring(first, 'great')).structuredContent).toEqual({ rung: 3, pid: helper.pid })
  expect(readFileSync(join(copy, 'great.rung'), 'utf8')).toBe('3')
  expect(recorded().slice(-2)).toMatchObject([
    { event: 'tool_call.begin', tool: 'bell_ring', principal: userInfo().username, source: 'stdio', subjects: ['pins:great'] },
    { event: 'tool_call.end', outcome: 'done' },
  ])

  expect(await ring(first, 'small')).toMatchObject({ isError: true, _meta: { 'fairlead/fault': { code: 'operate.not_listed' } } })
  expect(recorded().at(-1)).toMatchObject({ event: 'permission_denied', subjects: ['pins:small'] })

  configure('viewer')
  expect(await ring(first, 'great')).toMatchObject({ isError: true, _meta: { 'fairlead/fault': { code: 'tool.denied' } } })

  rmSync(join(copy, 'great.rung'))
  configure('operator', 'partial')
  const byHelper = await ring(first, 'great') // the server has not read it again, the helper has
  const second = await client()
  for (const answer of [byHelper, await ring(second, 'great')])
    expect(answer).toMatchObject({ structuredContent: { rung: 3, pid: 0 }, _meta: { 'fairlead/simulated': 'partial' } })
  expect(existsSync(join(copy, 'great.rung'))).toBe(false)
}, 30_000)
