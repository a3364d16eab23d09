// R10, from outside: files of MCP clients in real homes are changed in one entry and nowhere else, and what was written really starts and serves.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { mcpClient } from '../../../test/kit/mcp-client.ts'
import { type ReachBench, echoCommand, local, portOf, reachBench } from '../../../test/kit/reach-bench.ts'
import { createIdentity } from '../../base/identity/identity.ts'
import claudeCode from '../clients/claude-code.ts'
import claudeDesktop from '../clients/claude-desktop.ts'
import cursor from '../clients/cursor.ts'
import vscode from '../clients/vscode.ts'

const launcher = resolve(import.meta.dirname, '../../../bin/fairlead')
const { peerId } = createIdentity(new Uint8Array(32).fill(9))

let bench: ReachBench
beforeAll(async () => {
  bench = await reachBench()
})
afterEach(() => bench.reset())
afterAll(() => bench.close())

type Shown = {
  readonly file: string
  readonly name: string
  readonly change: string
  readonly command: readonly [string, ...string[]]
  readonly diff: string
  readonly written: boolean
}
type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }

let homes = 0
/** A new home, and `fairlead reach client` in it, with HOME alone. */
function newHome(env: Record<string, string> = {}) {
  const home = join(bench.folder, `home-${++homes}`)
  mkdirSync(home)
  const client = async (...words: string[]): Promise<Ran> => {
    const child = spawn(launcher, ['reach', 'client', ...words], {
      env: { HOME: home, ...env },
      cwd: home,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child.stdin.end('y\n') // a pipe is nobody who can say yes
    const texts = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text))
    const [code] = (await once(child, 'close')) as [number]
    return { code, ...texts }
  }
  const put = (path: string, text: string | Uint8Array, mode = 0o600): string => {
    mkdirSync(dirname(join(home, path)), { recursive: true })
    writeFileSync(join(home, path), text)
    chmodSync(join(home, path), mode)
    return join(home, path)
  }
  return { home, client, put }
}
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8')) as unknown
const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('where the files are', () => {
  const kinds = { claudeDesktop, claudeCode, vscode, cursor }
  const linux = { platform: 'linux', home: '/home/a', config: '/home/a/.config' }
  test.each([
    [
      'linux',
      linux,
      [
        '/home/a/.config/Claude/claude_desktop_config.json',
        '/home/a/.claude.json',
        '/home/a/.config/Code/User/mcp.json',
        '/home/a/.cursor/mcp.json',
      ],
    ],
    [
      'macOS',
      { platform: 'darwin', home: '/Users/a', config: '/Users/a/.config' },
      [
        '/Users/a/Library/Application Support/Claude/claude_desktop_config.json',
        '/Users/a/.claude.json',
        '/Users/a/Library/Application Support/Code/User/mcp.json',
        '/Users/a/.cursor/mcp.json',
      ],
    ],
    ['elsewhere', { ...linux, platform: 'win32' }, [undefined, '/home/a/.claude.json', undefined, '/home/a/.cursor/mcp.json']],
  ])('%s', (_, place, files) => {
    expect(Object.values(kinds).map((kind) => kind.own(place))).toEqual(files)
  })

  test.each([
    ['claude-desktop', '.config/Claude/claude_desktop_config.json', 'mcpServers', {}, ''],
    ['claude-code', '.claude.json', 'mcpServers', { type: 'stdio' }, '.mcp.json'],
    ['vscode', '.config/Code/User/mcp.json', 'servers', { type: 'stdio' }, '.vscode/mcp.json'],
    ['cursor', '.cursor/mcp.json', 'mcpServers', {}, '.cursor/mcp.json'],
  ])('%s: a new file, yours for you alone, and that of a project', async (client, own, root, more, project) => {
    const { home, client: run } = newHome()
    const words = ['--address', '/ip4/127.0.0.1/tcp/1', '--server', '[::1]:9', '--name', 'box', '--yes']
    expect(await run('add', client, peerId, ...words)).toMatchObject({ code: 0 })
    const args = ['reach', 'mcp-connect', peerId, '--server', '[::1]:9', '--address', '/ip4/127.0.0.1/tcp/1']
    expect(read(join(home, own))).toEqual({ [root]: { box: { ...more, command: launcher, args } } })
    expect(modeOf(join(home, own))).toBe(0o600)
    mkdirSync(join(home, 'work'))
    const ran = await run('add', client, peerId, ...words, '--project', 'work')
    if (project === '') {
      expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('from a project') as string })
      return
    }
    expect(read(join(home, 'work', project))).toEqual(read(join(home, own)))
    expect(modeOf(join(home, 'work', project))).toBe(0o644)
  })

  test('XDG_CONFIG_HOME moves what follows it; folders that do not follow from HOME are named in the entry', async () => {
    const { home, client } = newHome({ XDG_CONFIG_HOME: join(bench.folder, 'xdg'), FAIRLEAD_HOME: join(bench.folder, 'all') })
    const { stdout } = await client('add', 'claude-desktop', peerId, '--yes', '--json', '--passphrase-file', 'secret')
    const shown = JSON.parse(stdout) as Shown
    expect(shown.file).toBe(join(bench.folder, 'xdg/Claude/claude_desktop_config.json'))
    const home_ = ['--home', join(bench.folder, 'all/state/reach')]
    expect(shown.command).toEqual([launcher, 'reach', 'mcp-connect', peerId, ...home_, '--passphrase-file', join(home, 'secret')])
    expect(shown.name).toBe(`fairlead-${peerId.slice(-6)}`)
  })
})

describe('what is in the file', () => {
  const theirs =
    '// mine\r\n{\r\n\t"inputs": [], // none\r\n\t"servers": {\r\n\t\t"a": { "command": "x", "future": 1.0 }, /* keep */\r\n\t},\r\n}\r\n'

  test('stays byte for byte, comments, line ends and mode too; the same again changes nothing; removed, the file is as before', async () => {
    const { client, put } = newHome()
    const path = put('.config/Code/User/mcp.json', theirs, 0o664)
    const add = ['add', 'vscode', peerId, '--name', 'box', '--yes']
    const first = await client(...add)
    expect(first).toMatchObject({ code: 0 })
    const entry = JSON.stringify({ type: 'stdio', command: launcher, args: ['reach', 'mcp-connect', peerId] }, undefined, '\t')
    const inserted = `\r\n\t\t"box": ${entry.replaceAll('\n', '\r\n\t\t')},`
    expect(readFileSync(path, 'utf8')).toBe(theirs.replace('/* keep */', `/* keep */${inserted}`))
    expect(modeOf(path)).toBe(0o664)
    expect(readdirSync(dirname(path))).toEqual(['mcp.json'])
    for (const line of inserted.split('\r\n').slice(1)) expect(first.stderr).toContain(`\n+${line}^M\n`)
    expect(first.stderr).toContain(`VS Code will run: ${launcher} reach mcp-connect ${peerId}\n`)
    const { ino } = statSync(path)
    expect(await client(...add)).toMatchObject({ code: 0, stdout: expect.stringContaining('already') as string })
    expect(statSync(path).ino).toBe(ino)
    const listed = JSON.parse((await client('list', '--json')).stdout) as { entries: unknown[] }
    expect(listed.entries).toMatchObject([{ client: 'vscode', name: 'box', peer: peerId, file: path }])
    expect(await client('remove', 'vscode', 'a', '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not start') as string,
    })
    expect(await client('remove', 'vscode', 'bux', '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('hint: entries that lead to peers: box') as string,
    })
    expect(await client('remove', 'vscode', 'box', '--yes')).toMatchObject({ code: 0 })
    expect(readFileSync(path, 'utf8')).toBe(theirs)
  })

  test('another entry of that name is a conflict, unless forced', async () => {
    const { client, put } = newHome()
    const before = '{"mcpServers":{"box":{"command":"x"}},"n":1e2}'
    const path = put('.claude.json', before)
    const add = ['add', 'claude-code', peerId, '--name', 'box', '--yes']
    expect(await client(...add)).toMatchObject({ code: 1, stderr: expect.stringContaining('another entry with the name "box"') as string })
    expect(readFileSync(path, 'utf8')).toBe(before)
    expect((await client(...add, '--force')).code).toBe(0)
    expect(readFileSync(path, 'utf8')).toMatch(/^\{"mcpServers":\{"box":\{"type":"stdio","command":.*\}\},"n":1e2\}$/)
  })

  test.each([
    ['{\n  "mcpServers": {\n    "a": 1\n    "b": 2\n  }\n}\n', ':4:5 is not valid JSON: a comma or }'],
    ['', ':1:1 is not valid JSON'],
    ['{"mcpServers": []}', '"mcpServers" in '],
    ['[]', 'the whole in '],
    [Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), 'it is not UTF-8'],
  ])('%j is refused and not touched', async (before, problem) => {
    const { client, put } = newHome()
    const path = put('.cursor/mcp.json', before)
    const { ino, mtimeMs } = statSync(path)
    const { code, stdout, stderr } = await client('add', 'cursor', peerId, '--yes', '--force')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(problem)
    expect(statSync(path)).toMatchObject({ ino, mtimeMs })
    expect(readFileSync(path)).toEqual(Buffer.from(before))
    expect(readdirSync(dirname(path))).toEqual(['mcp.json'])
  })

  test('a link to the file stays a link', async () => {
    const { home, client, put } = newHome()
    const real = put('dotfiles/mcp.json', '{}\n')
    mkdirSync(join(home, '.cursor'))
    symlinkSync(real, join(home, '.cursor/mcp.json'))
    expect((await client('add', 'cursor', peerId, '--yes')).code).toBe(0)
    expect(lstatSync(join(home, '.cursor/mcp.json')).isSymbolicLink()).toBe(true)
    expect(read(real)).toHaveProperty('mcpServers')
  })
})

describe('nothing is written without a yes', () => {
  test('in a pipe it is shown and refused; a dry run shows the same and is no failure', async () => {
    const { home, client } = newHome()
    const refused = await client('add', 'cursor', peerId)
    expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('say it with --yes') as string })
    const dry = await client('add', 'cursor', peerId, '--dry-run')
    expect(dry.code).toBe(0)
    for (const text of [refused.stderr, dry.stdout]) {
      expect(text).toContain(`Cursor will run: ${launcher} reach mcp-connect ${peerId}\n`)
      expect(text).toContain(`+++ ${join(home, '.cursor/mcp.json')}\n`)
    }
    expect(existsSync(join(home, '.cursor'))).toBe(false)
  })

  test.each([
    ['n\n', 1, false],
    ['\n', 1, false],
    ['y\n', 0, true],
    ['YES\n', 0, true],
    ['\u0004', 1, false],
    ['\u0003', 130, false],
  ])('at a terminal, the answer %j', async (answer, wanted, isWritten) => {
    const { home } = newHome()
    const words = `${launcher} reach client add cursor ${peerId}`
    const child = spawn('script', ['-qec', words, '/dev/null'], { env: { HOME: home, PATH: process.env['PATH']!, TERM: 'dumb' } })
    let shown = ''
    let isAnswered = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text
      if (isAnswered || !shown.includes('[y/N]')) return
      isAnswered = true
      child.stdin.write(answer)
    })
    const [code] = (await once(child, 'close')) as [number]
    expect(shown).toContain('mcp-connect')
    expect(code).toBe(wanted)
    expect(existsSync(join(home, '.cursor/mcp.json'))).toBe(isWritten)
  })
})

test.each([
  [['ad', 'cursor', peerId], "did you mean 'add'?"],
  [['add', 'vs-code', peerId], "did you mean 'vscode'?"],
  [['add', 'emacs', peerId], 'known clients: claude-code, claude-desktop, cursor, vscode'],
  [['add', 'cursor'], 'which peer?'],
  [['add', 'cursor', peerId, '--name', 'a b'], 'letters, digits'],
  [['add', 'cursor', peerId, '--server', 'a:b'], 'names no registry'],
  [['add', 'cursor', peerId, '--address', '192.0.2.7:8766'], 'write it as a multiaddr'],
  [['add', 'cursor', peerId, '--project', 'nowhere'], 'there is no folder'],
  [['add', 'cursor', peerId, '--project', '.', '--file', 'x'], 'name one of them'],
])('%j is refused with a hint', async (words, problem) => {
  const { home, client } = newHome()
  expect(await client(...words, '--yes')).toMatchObject({ code: 2, stderr: expect.stringContaining(problem) as string })
  expect(readdirSync(home).filter((name) => name !== '.cache')).toEqual([])
})

test(
  'the written entry starts under nothing but HOME, and its tool answers; a name is written as the id that it means now',
  { timeout: 60_000 },
  async () => {
    const [box, mac] = await bench.people(1)
    const registry = await bench.serve('registry', 'registry', ...local)
    const server = ['--server', `localhost:${portOf(registry)}`]
    await bench.serve(box!.home, 'mcp-serve', '--authorized-peer', mac!.peerId, '--command', echoCommand, ...local, ...server)
    await expect.poll(async () => (await bench.run(mac!.home, 'peers', ...server)).stdout, { timeout: 10_000 }).toContain('/tcp/')
    for (const client of ['claude-desktop', 'vscode']) {
      const { exitCode, stdout, stderr } = await bench.run(mac!.home, 'client', 'add', client, box!.home, ...server, '--yes', '--json')
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
      const { file, name } = JSON.parse(stdout) as Shown
      expect(name).toBe(box!.home)
      const { command, args } = Object.values(Object.values(read(file) as object)[0] as object)[0] as { command: string; args: string[] }
      expect(args.slice(0, 3)).toEqual(['reach', 'mcp-connect', box!.peerId])
      const mcp = mcpClient(['/usr/bin/env', '-i', `HOME=${join(bench.folder, mac!.home)}`, command, ...args], {})
      bench.undo(() => mcp.process.kill('SIGKILL'))
      await mcp.initialize()
      expect(await mcp.call('echo', { text: client })).toBe(client)
      mcp.process.stdin.end()
      expect(await mcp.ended).toBe(0)
    }
    const unknown = await bench.run(mac!.home, 'client', 'add', 'cursor', 'nobody', ...server, '--yes')
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/error: Peer not found: nobody/) as string })
  },
)

test('a file that another program changes while a person reads is not overwritten', async () => {
  const { addition, writeChange } = await import('./file.ts')
  const folder = mkdtempSync(join(tmpdir(), 'client-file-'))
  try {
    const path = join(folder, 'mcp.json')
    const change = addition({ path, root: 'servers', name: 'x' }, { command: 'y' }, false)
    writeFileSync(path, '{"new":1}')
    expect(() => writeChange(change, false)).toThrowError(expect.objectContaining({ code: 'client.changed_meanwhile' }))
    expect(readFileSync(path, 'utf8')).toBe('{"new":1}')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
