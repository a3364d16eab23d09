// A person's machine and a node, for tests of `mcp`: real processes, one home folder, an agent with the runtime in which nothing runs.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
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

  /** `mcp …` to its end. */
  async mcp(
    words: readonly string[],
    { input = '', env = {} }: { readonly input?: string; readonly env?: Record<string, string> } = {},
  ): Promise<Ran> {
    return (await this.start(['--as', 'mcp', ...words], { input, env })).over
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

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
