// The file `gh` that `fairlead share gh --link` writes: what is typed is the same as ever, the API is asked once, and nothing that is wrong with the cache keeps gh from running.
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { beforeEach, expect, test } from 'vitest'
import { type ApiDouble, apiDouble } from '../kit/api-double.ts'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

type Said = { readonly code: number; readonly stdout: string; readonly stderr: string }

let api: ApiDouble
let home: string
let linked: string

/** As a person types it, with that PATH. */
function run(argv: readonly string[], path = process.env['PATH']!): Promise<Said> {
  const [command, ...args] = argv
  const env = { HOME: home, FAIRLEAD_HOME: join(home, 'f'), GH_TOKEN: 'a-token', NO_COLOR: '1', TZ: 'UTC', PATH: path }
  return new Promise((resolve) => {
    execFile(command!, args, { env }, (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }))
  })
}

const share = (...args: string[]): Promise<Said> => run([process.execPath, main, 'share', ...args])
const before = (...folders: string[]): string => [...folders, process.env['PATH']!].join(delimiter)
const gh = (...words: string[]): Promise<Said> => run(['sh', '-c', 'exec gh "$@"', 'sh', ...words], before(linked))

/** A real gh talks to the double, cache or no cache. */
beforeEach(async () => {
  api = await apiDouble()
  home = mkdtempSync(join(tmpdir(), 'gl-'))
  later(() => rmSync(home, { recursive: true, force: true }))
  await api.listenAt(join(home, 'api.sock'))
  mkdirSync(join(home, '.config/gh'), { recursive: true })
  writeFileSync(join(home, '.config/gh/config.yml'), `prompt: disabled\nhttp_unix_socket: ${join(home, 'api.sock')}\n`)
  linked = join(home, "it's here")
  expect(await share('gh', '--link', linked, '--api', api.url)).toEqual({ code: 0, stdout: `${linked}/gh\n`, stderr: '' })
})

const words = ['api', 'repos/o/r', '--jq', '.path']

test('the same words, the same bytes, one call; also where two of them stand on the PATH', async () => {
  const direct = await run(['gh', ...words])
  expect(direct).toEqual({ code: 0, stdout: '/repos/o/r\n', stderr: '' })
  api.seen.length = 0
  expect([await gh(...words), await gh(...words)]).toEqual([direct, direct])
  expect(api.seen).toHaveLength(1)
  const other = join(home, 'other')
  await share('gh', '--link', other, '--api', api.url)
  expect(await run(['sh', '-c', 'gh "$@"', 'sh', ...words], before(linked, other, linked))).toEqual(direct)
  expect(api.seen).toHaveLength(1)
  const listed = ['alias', 'list']
  expect(await gh(...listed)).toEqual(await run(['gh', ...listed]))
})

test('an exit code, and what goes in, come through', async () => {
  api.instead = (_, response) => (response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"Not Found"}'), true)
  expect(await gh('api', 'repos/o/none')).toEqual(await run(['gh', 'api', 'repos/o/none']))
  api.instead = undefined
  api.seen.length = 0
  const posted = await run(['sh', '-c', 'echo \'{"title":"x"}\' | gh api repos/o/r/issues --input -'], before(linked))
  expect([posted.code, api.seen.map(({ method }) => method)]).toEqual([0, ['POST']])
})

test('where the cache cannot run, gh asks the API itself and says why', async () => {
  const direct = await run(['gh', ...words])
  mkdirSync(join(home, 'f/state/share'), { recursive: true })
  writeFileSync(join(home, 'f/state/share/local.key'), 'short')
  const said = await gh(...words)
  expect(said).toEqual({
    ...direct,
    stderr: expect.stringMatching(/^fairlead: the cache cannot run: .*local\.key.*; gh asks the API itself\n$/),
  })
  const text = readFileSync(join(linked, 'gh'), 'utf8')
  writeFileSync(join(linked, 'gh'), text.replace(/^fairlead='(.*)'$/m, `fairlead='$1-no-more'`))
  expect(await gh(...words)).toEqual({ ...direct, stderr: expect.stringContaining('-no-more is not there: gh asks the API itself') })
  expect(api.seen).toHaveLength(3)
})

test('a proxy that runs is there for gh by its own setting, and at its port for any program, REST and GraphQL', async () => {
  const proxy = spawn(process.execPath, [main, 'share', 'proxy', '--api', api.url, '--port', '0'], {
    env: { PATH: process.env['PATH']!, HOME: home, FAIRLEAD_HOME: join(home, 'f') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  later(() => proxy.kill('SIGKILL'))
  const lines: string[] = []
  createInterface({ input: proxy.stdout }).on('line', (line) => lines.push(line.trim()))
  await expect.poll(() => lines.length, { timeout: 20_000 }).toBe(3)
  const [socket, url] = [lines[1]!.replace(/^gh config set http_unix_socket /, ''), lines[2]!]
  const asked = ['api', 'graphql', '-f', 'query={ viewer { login } }', '--jq', '.data.viewer.login']
  const direct = [await run(['gh', ...words]), await run(['gh', ...asked])]
  expect(await run(['gh', 'config', 'set', 'http_unix_socket', socket])).toEqual({ code: 0, stdout: '', stderr: '' })
  api.seen.length = 0
  for (let round = 0; round < 2; round++) expect([await run(['gh', ...words]), await run(['gh', ...asked])]).toEqual(direct)
  expect(api.seen).toHaveLength(2)
  const curl = (...more: string[]): Promise<Said> => run(['curl', '-sS', '-H', 'Authorization: Bearer a-token', ...more])
  for (let round = 0; round < 2; round++) {
    expect(JSON.parse((await curl(`${url}/repos/o/other`)).stdout)).toMatchObject({ path: '/repos/o/other' })
    expect((await curl(`${url}/graphql`, '-d', '{"query":"{ viewer { login } }"}')).stdout).toContain('"login":"octo"')
  }
  expect(api.seen.map(({ url: path }) => path)).toEqual(['/repos/o/r', '/graphql', '/repos/o/other', '/graphql'])
})

test('what is wrong is told: flags when it is linked, a file of somebody else, no gh at all', async () => {
  expect(await share('gh', '--link', linked, '--api', 'ftp://x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--api ftp://x'),
  })
  const foreign = join(home, 'foreign')
  mkdirSync(foreign)
  writeFileSync(join(foreign, 'gh'), '#!/bin/sh\n')
  expect(await share('gh', '--link', foreign)).toMatchObject({ code: 1, stderr: expect.stringContaining('was not written by fairlead') })
  expect(readFileSync(join(foreign, 'gh'), 'utf8')).toBe('#!/bin/sh\n')
  expect(statSync(join(linked, 'gh')).mode & 0o777).toBe(0o755)
  const alone = join(home, 'alone')
  mkdirSync(alone)
  for (const tool of ['head', 'grep']) writeFileSync(join(alone, tool), `#!/bin/sh\nexec /usr/bin/${tool} "$@"\n`, { mode: 0o755 })
  expect(await run(['/bin/sh', '-c', 'exec gh', 'sh'], [linked, alone].join(delimiter))).toMatchObject({
    code: 127,
    stderr: expect.stringContaining('no gh on the PATH'),
  })
})
