// GitHub's own `gh` says the same with the cache and without, byte for byte, and what reaches the API is counted there.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { expect, test } from 'vitest'
import { removeFolder } from '../../src/kernel/file.ts'
import { type ApiDouble, apiDouble } from '../kit/api-double.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

type Said = { readonly code: number; readonly stdout: string; readonly stderr: string }

function run(argv: readonly string[], env: Record<string, string>): Promise<Said> {
  const [command, ...args] = argv
  return new Promise((resolve) => {
    execFile(command!, args, { env: { PATH: process.env['PATH']!, ...env } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
}

async function machine(): Promise<{
  readonly api: ApiDouble
  readonly home: string
  readonly env: Record<string, string>
  share(...args: string[]): Promise<Said>
}> {
  const api = await apiDouble()
  const home = await mkdtemp(join(tmpdir(), 'gh-'))
  later(() => removeFolder(home))
  await mkdir(join(home, '.config/gh'), { recursive: true })
  await writeFile(join(home, '.config/gh/config.yml'), 'git_protocol: ssh\nprompt: disabled\n')
  const env = { HOME: home, FAIRLEAD_HOME: join(home, 'f'), GH_TOKEN: 'first-token', NO_COLOR: '1', TZ: 'UTC' }
  return { api, home, env, share: (...args) => run([process.execPath, main, 'share', ...args], env) }
}

const commands = [
  ['api', 'repos/o/r'],
  ['api', '--method', 'GET', 'repos/o/r/issues', '-f', 'state=open', '--jq', '.path'],
  ['api', 'graphql', '-f', 'query={ viewer { login } }'],
  ['api', 'graphql', '-f', 'query=query($name: String!) { repository(owner: "o", name: $name) { id } }', '-F', 'name=r'],
  ['repo', 'view', 'o/r'],
  ['repo', 'view', 'o/r', '--json', 'name,description'],
  ['run', 'list', '--repo', 'o/r'],
  ['run', 'list', '--repo', 'o/r', '--json', 'databaseId,displayTitle,status'],
]

test('gh: the same bytes directly, on a miss and on a hit, and no call on a hit', { timeout: 60_000 }, async () => {
  const { api, home, env, share } = await machine()
  const direct = join(home, 'direct')
  await mkdir(direct)
  await api.listenAt(join(home, 'api.sock'))
  await writeFile(join(direct, 'config.yml'), `prompt: disabled\nhttp_unix_socket: ${join(home, 'api.sock')}\n`)
  for (const words of commands) {
    const expected = await run(['gh', ...words], { ...env, GH_CONFIG_DIR: direct })
    expect(expected, words.join(' ')).toMatchObject({ code: 0 })
    const needed = api.seen.splice(0).length
    expect(needed).toBeGreaterThan(0)
    const missed = await share('gh', '--api', api.url, '--', ...words)
    expect(missed, words.join(' ')).toEqual(expected)
    expect(api.seen.splice(0).length).toBeLessThanOrEqual(needed)
    expect(await share('gh', '--api', api.url, '--', ...words)).toEqual(expected)
    expect(api.seen, words.join(' ')).toHaveLength(0)
  }
  expect(await readdir(join(home, 'f/run/share'))).toEqual([])
  expect(await readFile(join(home, '.config/gh/config.yml'), 'utf8')).toBe('git_protocol: ssh\nprompt: disabled\n')
})

test(
  'gh through a proxy that runs: writes are seen, failures keep their exit code, and the counts are those of the API',
  { timeout: 60_000 },
  async () => {
    const { api, env, share } = await machine()
    const child = spawn(process.execPath, [main, 'share', 'proxy', '--api', api.url], {
      env: { PATH: process.env['PATH']!, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    later(() => ended(child))
    await new Promise<void>((resolve) => createInterface({ input: child.stdout }).once('line', () => resolve()))
    const asked = (): Promise<Said> => share('gh', '--', 'api', 'repos/o/r', '--jq', '.version')
    expect((await Promise.all([asked(), asked(), asked()])).map(({ stdout }) => stdout)).toEqual(['1\n', '1\n', '1\n'])
    expect(api.seen).toHaveLength(1)
    expect(await share('gh', '--', 'api', 'repos/o/r/issues', '-f', 'title=x')).toMatchObject({ code: 0 })
    expect(await asked()).toMatchObject({ stdout: '2\n' })
    api.instead = (_, response) => (response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"Not Found"}'), true)
    expect(await share('gh', '--', 'api', 'repos/o/none')).toEqual({
      code: 1,
      stdout: '{"message":"Not Found"}',
      stderr: 'gh: Not Found (HTTP 404)\n',
    })
    const { stdout } = await share('stats', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ api_calls_made: api.seen.length, passed: 1, local_hits: 2, misses: 3, cache_size: 1 })
    await ended(child)
    expect(JSON.parse((await share('stats', '--json')).stdout)).toEqual(JSON.parse(stdout))
  },
)

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await exit
}
