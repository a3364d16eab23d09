// A person's machine and a node, for tests of `mcp`: real processes, one home folder, an agent with the runtime in which nothing runs.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Readable, Writable } from 'node:stream'
import { aliases } from '../../src/aliases.ts'
import { findCommand } from '../../src/base/terminal/catalogue.ts'
import type { Context } from '../../src/base/terminal/command.ts'
import { foldersOf } from '../../src/base/terminal/folders.ts'
import { parse } from '../../src/base/terminal/parse.ts'
import { type Terminal, createTerminal } from '../../src/base/terminal/terminal.ts'
import { peerStreams } from '../../src/daemons/peer-streams.ts'
import { commands } from '../../src/extensions.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { asFault, outside } from '../../src/kernel/fault.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { main } from '../kit/program.ts'
import { later } from '../kit/cleanup.ts'

export type Ran = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string; readonly json: unknown }

export class Bed {
  readonly root = mkdtempSync(join(tmpdir(), 'mcp-'))
  readonly home = join(this.root, 'home')
  readonly config = join(this.home, '.config/mcp')
  readonly services = join(this.config, 'services')

  constructor() {
    mkdirSync(this.services, { recursive: true })
    later(() => rmSync(this.root, { recursive: true, force: true }))
  }

  /** `mcp …` to its end, in this process: a start takes longer than most of what is tested. */
  async mcp(
    words: readonly string[],
    { input = '', env = {} }: { readonly input?: string; readonly env?: Record<string, string> } = {},
  ): Promise<Ran> {
    const [stdout, stderr] = [collected(), collected()]
    const json = words.includes('--json')
    const terminal = createTerminal({ stdout, stderr, isTerminal: false, json, colour: false })
    const exitCode = await this.#run(words, terminal, { input, env: { PATH: process.env['PATH'], HOME: this.home, ...env } }).catch(
      (error: unknown) => {
        const known = asFault(error)
        if (known.kind === 'bug') throw error
        terminal.fault(known)
        return outside[known.kind].exitCode
      },
    )
    return { exitCode, stdout: stdout.text, stderr: stderr.text, json: json ? parsed(stdout.text) : undefined }
  }

  async #run(
    words: readonly string[],
    terminal: Terminal,
    { input, env }: { readonly input: string; readonly env: Record<string, string | undefined> },
  ): Promise<number> {
    const found = findCommand(commands, { name: 'mcp', prefix: ['run'] }, words)
    if (found.is !== 'command') throw new Error(`no command: ${words.join(' ')}`)
    const command = (await found.entry.load()).default
    const read = parse('mcp', command, found.rest)
    if (read.is !== 'input') throw new Error('help was asked for')
    const own = aliases.find(({ name }) => name === 'mcp')!
    const context: Context = {
      get peers() {
        return peerStreams(context)
      },
      env,
      terminal,
      log: silentLog,
      clock: systemClock,
      folders: foldersOf(env, this.home, false, own.folders),
      homes: [],
      version: '0.0.0',
      alias: 'mcp',
      signal: new AbortController().signal,
      onReload: () => () => {},
      stdin: Readable.from([input]),
      stdout: process.stdout,
      self: [process.execPath, main],
    }
    return (await command.run(context, read.input)) ?? 0
  }

  /** A process of ours; `heard` resolves when it has printed that. */
  async start(words: readonly string[], { input = '', env = {} }: { readonly input?: string; readonly env?: Record<string, string> } = {}) {
    const child = spawn(process.execPath, [main, ...words], { env: { PATH: process.env['PATH'], HOME: this.home, ...env }, stdio: 'pipe' })
    let [stdout, stderr] = ['', '']
    const watchers = new Set<() => void>()
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      stdout += part
      for (const watch of watchers) watch()
    })
    child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part))
    child.stdin.end(input)
    const over = new Promise<Ran>((resolve) => {
      child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr, json: words.includes('--json') ? parsed(stdout) : undefined }))
    })
    later(async () => {
      child.kill('SIGKILL')
      await over
    })
    const heard = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (stdout.includes(text)) resolve()
        }
        watchers.add(look)
        look()
        void over.then(() => reject(new Error(`it ended: ${stderr}`)))
      })
    return { over, heard, kill: (signal: NodeJS.Signals) => child.kill(signal), stdout: () => stdout }
  }

  /** An agent of its own folder, with the memory runtime; answers when it serves. */
  async agent(name: string, settings = '') {
    const folder = join(this.root, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(
      join(folder, 'mcp-agent.toml'),
      `[agent]\nnode_name = "${name}"\ncontainer_runtime = "memory"\n[monitor]\ninterval = "500ms"\n${settings}`,
    )
    const running = await this.start(['run', 'agent', '--config', join(folder, 'mcp-agent.toml'), '--json'])
    await running.heard('}\n')
    return {
      ...running,
      folder,
      socket: join(folder, 'run'),
      told: parsed(running.stdout()) as { readonly port: number },
    }
  }

  define(service: string, node: string, image = 'reg:5000/web:v1', more = ''): string {
    const text = `# ${service}, mine\nname = "${service}" # its name\nnode = "${node}"\n\n[[components]] # one\nname = "${service}"\nimage = "${image}"\n${more}`
    writeFileSync(join(this.services, `${service}.toml`), text)
    return text
  }

  definition(service: string): string {
    return readFileSync(join(this.services, `${service}.toml`), 'utf8')
  }
}

function collected(): Writable & { readonly text: string } {
  let text = ''
  const into = new Writable({
    write(part: Buffer, _encoding, done) {
      text += part.toString()
      done()
    },
  })
  return Object.defineProperty(into, 'text', { get: () => text }) as Writable & { readonly text: string }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
