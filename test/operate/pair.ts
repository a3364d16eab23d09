// The machine's server and its helper as two processes under the runbook's names, with all their files below one folder.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { later } from '../kit/cleanup.ts'
import { main } from '../kit/program.ts'

export type Daemon = {
  readonly child: ChildProcess
  /** What it printed as its result. */
  readonly result: Readonly<Record<string, string>>
  /** All that it wrote on stderr. */
  told(): string
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** As bin/fairlead starts daemons. */
const asLauncher = ['--max-semi-space-size=1']

export class Pair {
  readonly home = mkdtempSync(join(tmpdir(), 'fairlead-pair-'))
  readonly configFile = join(this.home, 'config/config.yml')

  constructor() {
    mkdirSync(join(this.home, 'config'), { mode: 0o750 })
    later(() => rmSync(this.home, { recursive: true, force: true }))
  }

  /** HOME stands for the folder of all; the server takes any free port. */
  configure(text: string): void {
    writeFileSync(this.configFile, text.replaceAll('HOME', this.home), { mode: 0o640 })
  }

  helper(): Promise<Daemon> {
    return this.start(['--as', 'raspi-ops-agent', '--json'])
  }

  server(...more: string[]): Promise<Daemon> {
    return this.start(['--as', 'mcp-raspi-server', '--port', '0', '--json', ...more])
  }

  /** Rejects with what it wrote when it ends before it is ready. */
  async start(args: readonly string[]): Promise<Daemon> {
    const child = spawn(process.execPath, [...asLauncher, main, ...args], {
      env: { PATH: process.env['PATH'], LC_ALL: 'C', FAIRLEAD_HOME: this.home },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [printed, told] = ['', '']
    const ended = once(child, 'exit')
    child.stderr.on('data', (chunk) => (told += String(chunk)))
    const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      child.kill('SIGCONT')
      await ended
    }
    later(() => stop('SIGKILL'))
    const result = await new Promise<Record<string, string>>((resolve, reject) => {
      child.stdout.on('data', (chunk) => {
        printed += String(chunk)
        if (printed.trimEnd().endsWith('}')) resolve(JSON.parse(printed) as Record<string, string>)
      })
      void ended.then(([code]) => reject(new Error(`exit code ${code}: ${told}`)))
    })
    return { child, result, told: () => told, stop }
  }
}

/** An MCP client of the server at `url`. */
export async function clientOf(url: string, token?: string, era: 'legacy' | 'modern' = 'modern'): Promise<Client> {
  const mode = era === 'modern' ? { pin: '2026-07-28' } : ('legacy' as const)
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  const requestInit = token === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${token}` } } }
  await client.connect(new StreamableHTTPClientTransport(new URL(url), requestInit))
  later(() => client.close())
  return client
}

/** A process of this very test that may be ended. */
export function sleeper(): ChildProcess {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  later(() => child.kill('SIGKILL'))
  return child
}

/** Asks for the end of a process, by the name `sleep`. */
export function signalled(pid: number, signal = 'TERM') {
  return { name: 'process_signal', arguments: { pid, name: 'sleep', signal } }
}
