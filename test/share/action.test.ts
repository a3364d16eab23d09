// The action as a runner runs it: each shell step of its file, in bash; no secret is in what others can read, and nothing that is wrong with the cache ends the job.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

const runner = resolve(import.meta.dirname, '../script/actions-runner.ts')
const secret = 'a-secret-of-the-group'
const token = 'a-token-of-the-job'

function folderFor(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ac-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function start(argv: readonly string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, argv, { env: { PATH: process.env['PATH']!, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  later(() => child.kill('SIGKILL'))
  return child
}

/** A job with the action and these steps after it. */
async function job(
  { port, steps = [] }: { readonly port: string; readonly steps?: readonly string[] },
  secrets: Record<string, string>,
): Promise<{ readonly code: number | null; readonly said: string; readonly temp: string }> {
  const folder = folderFor()
  const workflow = join(folder, 'ci.yml')
  const action = { uses: './.fairlead/deployment/action', with: { port, peers: '${{ secrets.PEERS }}', secret: '${{ secrets.SECRET }}' } }
  const checkout = { uses: 'actions/checkout@v4', with: { path: '.fairlead' } }
  const all = [checkout, action, ...steps.map((run) => ({ run }))]
  writeFileSync(workflow, JSON.stringify({ name: 'ci', jobs: { test: { steps: all } } }))
  const named = Object.fromEntries(Object.entries(secrets).map(([name, value]) => [`SECRET_${name}`, value]))
  const child = start([runner, workflow, join(folder, 'r')], { HOME: folder, SECRET_GITHUB_TOKEN: token, ...named })
  let said = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const code = await new Promise<number | null>((done) => child.once('close', done))
  return { code, said, temp: join(folder, 'r/temp') }
}

/** The lines of what was said, in their order, without those that are not asked for. */
function only(said: string, wanted: readonly string[]): string[] {
  return said.split('\n').filter((line) => wanted.some((one) => line.startsWith(one)))
}

test('the runner joins the group, gh is the one that goes through the cache, and neither secret nor token is to be read anywhere', async () => {
  const home = folderFor()
  const host = start([main, 'share', 'host', '--listen', '127.0.0.1', '--port', '0'], {
    HOME: home,
    FAIRLEAD_HOME: home,
    CACHE_P2P_SHARED_SECRET: secret,
    IPFS_ACCELERATE_GITHUB_REPO: 'o/r',
  })
  const lines: string[] = []
  createInterface({ input: host.stdout! }).on('line', (line) => lines.push(line))
  const address = (): string | undefined => lines.find((line) => line.startsWith('/ip4/'))
  await expect.poll(address, { timeout: 20_000 }).toBeDefined()

  const steps = [
    'command -v gh fairlead',
    'fairlead share stats --json',
    "for pid in /proc/[0-9]*; do tr '\\0' ' ' <$pid/cmdline && echo; done 2>/dev/null || true",
  ]
  const { code, said, temp } = await job({ port: '0', steps }, { PEERS: address()!, SECRET: secret })
  expect(code, said).toBe(0)
  expect(only(said, ['📦', '🚀', '✓', 'P2P host', 'Connecting', temp])).toEqual([
    '📦 Installing P2P cache dependencies...',
    '🚀 Initializing P2P cache for runner communication...',
    `✓ P2P bootstrap peers configured: ${address()}`,
    expect.stringMatching(/^P2P host started, listening on port \d+$/),
    'Connecting to 1 bootstrap peer(s)...',
    '✓ Connected to bootstrap peer',
    '✓ P2P cache initialized',
    `${temp}/fairlead/bin/gh`,
    `${temp}/fairlead/bin/fairlead`,
  ])
  expect(said).toContain('"connected_peers": 1')
  expect(said).toMatch(/share proxy --p2p-port 0 --shared-scope ci/)
  const readable =
    said + ['env', 'path', 'fairlead/proxy.log', 'fairlead/bin/gh'].map((file) => readFileSync(join(temp, file), 'utf8')).join()
  for (const hidden of [secret, token]) expect(readable).not.toContain(hidden)
  expect(readFileSync(join(temp, 'env'), 'utf8')).toBe(`FAIRLEAD_HOME=${temp}/fairlead\n`)
}, 60_000)

test('where it cannot be built the job goes on without it', async () => {
  const home = folderFor()
  cpSync(resolve(import.meta.dirname, '../../deployment/action'), join(home, 'deployment/action'), { recursive: true })
  mkdirSync(join(home, 'bin'))
  writeFileSync(join(home, 'bin/prepare'), 'echo no compiler >&2; exit 1')
  const run = (script: string): Promise<{ stdout: string }> =>
    promisify(execFile)('sh', [join(home, 'deployment/action', script)], {
      env: { PATH: process.env['PATH']!, RUNNER_TEMP: home, FAIRLEAD_SHARE_PORT: '0' },
    })
  expect((await run('install.sh')).stdout).toContain('::warning title=Fairlead cache::it could not be built')
  expect((await run('begin.sh')).stdout).toContain('::warning title=Fairlead cache::it does not run here')
})

test('without peers it says so in two lines; with peers or a port that are none it says what is wrong', async () => {
  const [alone, lost, wrong] = await Promise.all([
    job({ port: '0', steps: ['fairlead share stats --json'] }, { SECRET: secret }),
    job({ port: '0', steps: ['echo the job goes on'] }, { PEERS: '/ip4/203.0.113.42/tcp/9100', SECRET: secret }),
    job({ port: '9000; true' }, {}),
  ])
  expect(alone.code, alone.said).toBe(0)
  expect(alone.said).toContain(
    '⚠️  No bootstrap peers configured (set MCP_P2P_BOOTSTRAP_PEERS secret)\n   Runners will not connect to MCP server for P2P cache sharing\n',
  )
  expect(alone.said).toContain('"p2p_enabled": false')
  expect(lost.code, lost.said).toBe(0)
  expect(lost.said).toContain('is no address of a host')
  expect(lost.said).toMatch(/::warning title=Fairlead cache::it did not start.*\n[^]*the job goes on/)
  expect([wrong.code, wrong.said]).toEqual([2, expect.stringContaining('::error title=Fairlead cache::the input port')])
}, 60_000)
