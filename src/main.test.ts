// Proves the program from outside: exit codes, what goes to stdout and to stderr, signals, broken pipes, and an empty environment.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from './base/terminal/parse.ts'
import { commands } from './extensions.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-main-'))
afterAll(() => rmSync(folder, { recursive: true }))
const main = join(import.meta.dirname, 'main.ts')

type Result = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

function run(
  argv: readonly string[],
  env: Record<string, string> = {},
  program: readonly [string, ...string[]] = [process.execPath, main],
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(program[0], [...program.slice(1), ...argv], { env: { HOME: folder, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

describe('help', () => {
  test('without a command, with --help, with help: the same list on stdout', async () => {
    const [bare, flag, word] = await Promise.all([run([]), run(['--help']), run(['help'])])
    expect(bare).toMatchObject({ code: 0, stderr: '' })
    expect(bare.stdout).toContain('aliases')
    expect(flag).toEqual(bare)
    expect(word).toEqual(bare)
    expect(bare.stdout).not.toContain('\u001B')
  })

  test('one command explains itself with examples, before or after its name', async () => {
    const [after, before, word] = await Promise.all([run(['aliases', '--help']), run(['--help', 'aliases']), run(['help', 'aliases'])])
    expect(after.stdout).toContain('Usage: fairlead aliases')
    expect(after.stdout).toContain('Examples:')
    expect(before).toEqual(after)
    expect(word).toEqual(after)
  })

  test('--version and --json', async () => {
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(JSON.parse((await run(['--json', '--version'])).stdout)).toHaveProperty('version')
    for (const name of ['mcp', 'mcp-agent']) expect((await run(['--as', name, '--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(JSON.parse((await run(['--json'])).stdout)).toHaveProperty('commands.0.path')
  })
})

describe('faults', () => {
  test('an output that cannot be written is the disk’s fault, not a defect', async () => {
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [main, '--help'], { env: { HOME: folder }, stdio: ['ignore', full, 'pipe'] })
    closeSync(full)
    let stderr = ''
    child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(stderr).toMatch(/^fairlead: error: the output could not be written: ENOSPC\nfairlead: hint: /)
    expect(code).toBe(5)
  })

  test('usage: exit code 2, one error and one hint on stderr, nothing on stdout', async () => {
    const result = await run(['alaises'])
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toBe(
      "fairlead: error: there is no command 'fairlead alaises'\nfairlead: hint: did you mean 'fairlead aliases'? All commands: fairlead --help\n",
    )
    expect((await run(['aliases', '--lnik', 'x'])).stderr).toContain('did you mean --link?')
  })

  test('the same as an object with --json', async () => {
    const result = await run(['aliases', '--nope', '--json'])
    expect(result.code).toBe(2)
    expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'command.bad_input', kind: 'usage' } })
  })

  test('an invalid configuration: exit code 2, with file and line', async () => {
    writeFileSync(join(folder, 'bad.toml'), '\nnope = 1\n')
    const result = await run(['config', 'check', join(folder, 'bad.toml')])
    expect(result.code).toBe(2)
    expect(result.stderr).toContain('bad.toml:2 nope: unknown key')
    expect(await run(['config', 'check'])).toMatchObject({ code: 0, stdout: '' })
    expect((await run(['config', 'chekc'])).stderr).toContain("did you mean 'check'?")
  })
})

/** A driver that runs main.ts with one command of its own in the place of `aliases`. */
function driver(name: string, body: string): readonly [string, ...string[]] {
  const path = join(folder, `${name}.mjs`)
  const extensions = `export const configs = []; export const commands = [{ path: ['it'], summary: 's', load: async () => ({ default: { summary: 's', args: {}, flags: {}, examples: [], async run(context) { ${body} } } }) }]`
  const hooks = `import { registerHooks } from 'node:module'
registerHooks({ load: (url, context, next) => url.endsWith('/src/extensions.ts') ? { format: 'module', source: ${JSON.stringify(extensions)}, shortCircuit: true } : next(url, context) })`
  writeFileSync(path, hooks)
  return [process.execPath, '--import', path, main]
}

describe('while a command runs', () => {
  test('its return value is the exit code', async () => {
    expect((await run(['it'], {}, driver('three', 'return 3'))).code).toBe(3)
  })

  test('a bug: exit code 70, and the stack only when asked for', async () => {
    const program = driver('bug', "throw new TypeError('oops')")
    const quiet = await run(['it'], {}, program)
    expect(quiet).toMatchObject({ code: 70, stdout: '' })
    expect(quiet.stderr).toContain('unexpected: oops')
    expect(quiet.stderr).not.toMatch(/^\s+at /m)
    expect((await run(['it'], { FAIRLEAD_DEBUG: '1' }, program)).stderr).toMatch(/^\s+at /m)
    expect(
      (
        await run(
          ['it'],
          {},
          driver('late', "setImmediate(() => { throw new Error('late') }); await new Promise(() => setInterval(() => {}, 1e6))"),
        )
      ).code,
    ).toBe(70)
  })

  test('a signal asks it to stop; a second one ends it', async () => {
    const stop = (program: readonly [string, ...string[]], signals: NodeJS.Signals[]): Promise<Result> =>
      new Promise((resolve) => {
        const child = spawn(program[0], [...program.slice(1), 'it'], { env: { HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
        let [stdout, stderr] = ['', '']
        child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
        child.stdout.on('data', (chunk: Buffer) => {
          stdout += chunk.toString()
          child.kill(signals.shift())
        })
        child.on('close', (code) => resolve({ code, stdout, stderr }))
      })
    const wait =
      "const keep = setInterval(() => {}, 1e6); context.stdout.write('ready\\n'); await new Promise((resolve) => context.signal.addEventListener('abort', resolve)); clearInterval(keep)"
    expect(await stop(driver('good', `${wait}; context.terminal.note('bye')`), ['SIGTERM'])).toMatchObject({ code: 0, stderr: 'bye\n' })
    expect(await stop(driver('throws', `${wait}; context.signal.throwIfAborted()`), ['SIGINT'])).toMatchObject({ code: 130, stderr: '' })
    const stubborn = `${wait}; setInterval(() => {}, 1e6); context.stdout.write('again\\n'); await new Promise(() => {})`
    expect(await stop(driver('stubborn', stubborn), ['SIGTERM', 'SIGTERM'])).toMatchObject({ code: 143, stderr: '' })
  })

  test('the end of its terminal asks it to stop; without a terminal a hang-up is nothing, as after nohup', async () => {
    const left = join(folder, 'left')
    const wait = "context.stdout.write('ready\\n'); const keep = setInterval(() => {}, 1e6); await stopAsked; clearInterval(keep)"
    const stopAsked = "const stopAsked = new Promise((resolve) => context.signal.addEventListener('abort', resolve))"
    const goodOrder = `(await import('node:fs')).writeFileSync('${left}', String(context.signal.reason.message))`
    const [command, ...words] = driver(
      'hangup',
      `${stopAsked}; process.on('SIGHUP', () => context.stdout.write('still here\\n')); ${wait}; ${goodOrder}`,
    )
    const env = { HOME: folder, PATH: process.env['PATH']! }
    const signals = ['SIGHUP', 'SIGTERM'] as const

    const without = spawn(command, [...words, 'it'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let told = 0
    without.stdout.on('data', () => without.kill(signals[told++]))
    await once(without, 'close')
    expect(readFileSync(left, 'utf8')).toBe('stopped by SIGTERM')
    expect(told).toBe(2)
    rmSync(left)

    const terminal = spawn('script', ['-qec', [command, ...words, 'it'].join(' '), '/dev/null'], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(terminal.stdout, 'data')
    terminal.kill('SIGKILL') // and nobody holds the other end of it any more
    await expect.poll(() => existsSync(left) && readFileSync(left, 'utf8'), { timeout: 10_000 }).toBe('stopped by SIGHUP')
  })

  test('a reader that goes away ends it quietly', async () => {
    const program = driver(
      'endless',
      "while (!context.signal.aborted) { context.stdout.write('line\\n'); await new Promise(setImmediate) } context.signal.throwIfAborted()",
    )
    const piped = await run(
      ['-c', `"$@" it | head -n 1; echo "code \${PIPESTATUS[0]}"`, 'bash', ...program],
      { PATH: process.env['PATH']! },
      ['bash'],
    )
    expect(piped).toEqual({ code: 0, stdout: 'line\ncode 0\n', stderr: '' })
  })
})

describe('names', () => {
  test('a linked name works with nothing but HOME, twice, and never replaces a foreign file', async () => {
    const links = join(folder, 'links')
    const available = (JSON.parse((await run(['aliases', '--json'])).stdout) as { aliases: { name: string }[] }).aliases.map(
      ({ name }) => name,
    )
    expect((await run(['aliases', '--link', links])).code).toBe(0)
    expect((await run(['aliases', '--link', links], {}, [join(main, '../../bin/fairlead')])).code).toBe(0) // it gives Node flags of its own
    for (const name of available) {
      expect(statSync(join(links, name)).mode & 0o777).toBe(0o755)
      expect((await run(['--help'], {}, ['/usr/bin/env', '-i', `HOME=${folder}`, join(links, name)])).stdout).toContain(name)
      writeFileSync(join(links, name), '#!/bin/sh\n')
      expect(await run(['aliases', '--link', links])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`${name} is there already`) as string,
      })
      expect(readFileSync(join(links, name), 'utf8')).toBe('#!/bin/sh\n')
      rmSync(join(links, name))
    }
  })

  test("a runbook's name tells the command its folders, and starts itself again with them", async () => {
    const script = 'context.terminal.result({ alias: context.alias, home: context.folders.home, self: context.self.slice(-2) }, () => "")'
    const program = driver('named', script)
    const source = readFileSync(join(folder, 'named.mjs'), 'utf8').replace("path: ['it']", "path: ['reach', 'it']")
    writeFileSync(join(folder, 'named.mjs'), source)
    const result = await run(['--as', 'bmp', 'it', '--json'], {}, program)
    expect(JSON.parse(result.stdout)).toEqual({ alias: 'bmp', home: join(folder, '.bmp'), self: ['--as', 'bmp'] })
    expect((await run(['--as', 'bmp', 'reach', 'it', '--json'], {}, program)).stdout).toBe(result.stdout)
    expect((await run(['--as', 'nobody'])).code).toBe(2)
  })
})

test('compiled code is kept in the cache folder, and a cache that cannot be written changes nothing', async () => {
  const cache = join(folder, 'cache')
  expect((await run(['aliases', '--help'], { XDG_CACHE_HOME: cache })).code).toBe(0)
  expect(existsSync(join(cache, 'fairlead', 'compiled'))).toBe(true)
  writeFileSync(join(folder, 'file'), '')
  chmodSync(join(folder, 'file'), 0o400)
  expect(await run(['aliases', '--help'], { XDG_CACHE_HOME: join(folder, 'file') })).toMatchObject({ code: 0, stderr: '' })
})

describe('every command', () => {
  test.each(commands.map(({ path, load }) => [path.join(' '), load] as const))(
    '%s has help, and examples that it understands',
    async (path, load) => {
      const { default: command } = await load()
      expect(parse(path, command, ['--help']).is).toBe('help')
      for (const key of ['json', 'help', 'version']) expect(command.flags).not.toHaveProperty(key)
      for (const [line] of command.examples) {
        const start = `fairlead ${path}`
        expect(line.startsWith(start), line).toBe(true)
        const words =
          line
            .slice(start.length)
            .split(/ [>|] /)[0]!
            .match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? []
        expect(
          parse(
            path,
            command,
            words.map((word) => word.replaceAll(/['"]/g, '')),
          ).is,
        ).toBe('input')
      }
    },
  )

  test.each(['bash', 'zsh', 'fish'])('is completed in %s', async (shell) => {
    const { stdout } = await run(['completion', shell])
    for (const { path } of commands) expect(stdout).toContain(path.at(-1))
    if (shell === 'bash') {
      writeFileSync(join(folder, 'completion.sh'), stdout)
      const asked = `. ${folder}/completion.sh; COMP_WORDS=(fairlead aliases --l); COMP_CWORD=2; _fairlead; echo "\${COMPREPLY[@]}"; COMP_WORDS=(fairlead ali); COMP_CWORD=1; _fairlead; echo "\${COMPREPLY[@]}"
        COMP_WORDS=(/home/ann/.local/bin/mcp depl); COMP_CWORD=1; _fairlead; echo "\${COMPREPLY[@]}"; COMP_WORDS=(mcp push --he); COMP_CWORD=2; _fairlead; echo "\${COMPREPLY[@]}"; complete -p mcp bmp`
      const { stdout: offered } = await run(['-c', asked], { PATH: process.env['PATH']! }, ['bash'])
      expect(offered.split('\n')).toMatchObject([
        '--link',
        'aliases',
        'deploy',
        '--help',
        expect.stringContaining('_fairlead mcp'),
        expect.stringContaining('_fairlead bmp'),
        '',
      ])
    }
  })
})
