// Starts the real gate as a process of its own, as a user would, and stops or kills it.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tokenHash } from '../../src/base/access/principal.ts'
import { main } from './program.ts'

const runtime = process.execPath

export type GateUpstream = { readonly url?: string; readonly command?: readonly string[]; readonly more?: string }

export type GateOptions = {
  readonly upstreams: Readonly<Record<string, GateUpstream>>
  /** TOML for the [gate] table, besides listen, state and door. */
  readonly settings?: string
  /** TOML tables in place of the open door and its rule. */
  readonly access?: string
  /** The servers of a cluster that it shares its sessions by. */
  readonly cluster?: readonly string[]
  /** Goes on with the folder of an earlier gate. */
  readonly folder?: string
  readonly port?: number
  /** How much the gate says on stderr; `debug` shows what its children say on theirs. */
  readonly log?: 'info' | 'debug'
}

export type RunningGate = {
  readonly port: number
  readonly folder: string
  readonly token: string
  readonly process: ChildProcess
  readonly stderr: readonly string[]
  url(upstream: string): string
  stop(signal?: NodeJS.Signals): Promise<void>
}

const token = 'a-token-for-tests'
const everything = 'upstreams = ["*"]\ntools = ["*"]\nresources = ["*"]\nprompts = ["*"]\nmethods = ["*"]\n'

/** Writes the configuration of a gate, which one that runs there takes by itself. */
export function configure(folder: string, options: GateOptions): string {
  const config = join(folder, 'fairlead.toml')
  const access =
    options.access ??
    `[gate.principals.conformance]\n[gate.principals.owner]\ntoken_sha256 = "${tokenHash(token)}"\n[[gate.rules]]\nprincipals = ["conformance", "owner"]\n${everything}`
  const upstreams = Object.entries(options.upstreams).map(
    ([name, { url, command, more }]) =>
      `[gate.upstreams.${name}]\n${url ? `url = "${url}"` : `command = ${JSON.stringify(command)}`}\n${more ?? ''}\n`,
  )
  const cluster = options.cluster ? `\n[cluster]\nnats = ${JSON.stringify(options.cluster)}\n` : ''
  const door = options.access === undefined ? 'door = "conformance"\n' : ''
  writeFileSync(
    config,
    `[gate]\nlisten = "127.0.0.1:${options.port ?? 0}"\nstate = "${folder}/state"\nruntime = "${folder}/run"\n${door}${options.settings ?? ''}\n${upstreams.join('')}${access}${cluster}`,
  )
  return config
}

/** Everyone is `conformance` who comes in over loopback without a credential; `owner` has the token; both may do everything. */
export async function startGate(options: GateOptions): Promise<RunningGate> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'fairlead-gate-'))
  const config = configure(folder, options)
  const child = spawn(runtime, [main, 'gate', 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FAIRLEAD_LOG: options.log ?? 'info' },
  })
  const stderr: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(...text.split('\n')))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const port = await new Promise<number>((resolve, reject) => {
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const found = /ready at http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]
      if (found) resolve(Number(found))
    })
    void ended.then(() => reject(new Error(`the gate ended: ${stderr.join('\n')}`)))
  })
  return {
    port,
    folder,
    token,
    process: child,
    stderr,
    url: (upstream) => `http://127.0.0.1:${port}/mcp/${upstream}`,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      await ended
      if (signal === 'SIGTERM') rmSync(folder, { recursive: true, force: true })
    },
  }
}
