// A gate with all three connectors issued, and the commands of stage B as an operator types them on its console.
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { GateOptions } from '../kit/gate.ts'
import { main } from '../kit/program.ts'
import { type RunningGate, gateFor, temporaryFolder } from './bed.ts'
import { connectorIds, issue } from './connector-bed.ts'

export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }

export type StageBed = { readonly gate: RunningGate; readonly folder: string; readonly logs: string; readonly token: string }

/** `settings`: TOML after the `[gate]` table. */
export async function stageBed(settings = '', upstreams: GateOptions['upstreams'] = {}): Promise<StageBed> {
  const folder = temporaryFolder()
  const gate = await gateFor({ upstreams, access: settings, settings: 'logs = "logs"\n', folder })
  const { token } = await issue(gate, ...connectorIds)
  return { gate, folder, logs: join(folder, 'logs'), token }
}

/** `fairlead gate <words>` with this environment. */
export function gateIn(
  { folder, env }: { readonly folder: string; readonly env: Readonly<Record<string, string>> },
  ...words: string[]
): Promise<Ended> {
  const argv = [main, 'gate', ...words, '--config', join(folder, 'fairlead.toml')]
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { env: { PATH: process.env['PATH']!, HOME: folder, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

export function consoleOf({ gate, folder, token }: StageBed, change: Readonly<Record<string, string>> = {}) {
  const env = { ABZU_USE_MCP: '1', MCP_GATEWAY_URL: `http://127.0.0.1:${gate.port}`, MCP_CONNECTOR_TOKEN: token, ...change }
  return (...words: string[]): Promise<Ended> => gateIn({ folder, env }, ...words)
}

export type Report = {
  readonly stage: string
  readonly targets: readonly string[]
  readonly services: Readonly<Record<string, { readonly session: { readonly id: string } | null }>>
  readonly handshake: Readonly<
    Record<string, { readonly status: string; readonly error?: { readonly code: string; readonly message: string } }>
  >
  readonly heartbeat: Readonly<Record<string, { readonly status: string; readonly payload?: Readonly<Record<string, unknown>> }>>
  readonly rotation_ledger: { readonly file: string; readonly appended: readonly Readonly<Record<string, unknown>>[] }
  readonly doctrine_ok: boolean
  readonly doctrine_failures: readonly {
    readonly check: string
    readonly about?: string
    readonly evidence: string
    readonly remedy?: string
  }[]
}

export function reportIn({ stdout }: Ended): Report {
  return JSON.parse(stdout) as Report
}

/** The checks that failed, each once. */
export function failed(report: Pick<Report, 'doctrine_failures'>): string[] {
  return [...new Set(report.doctrine_failures.map(({ check }) => check))].sort()
}

/** Newest last. */
export function receiptsIn(logs: string): { readonly file: string; readonly text: string }[] {
  return readdirSync(join(logs, 'stage_b'))
    .sort()
    .map((run) => join(logs, 'stage_b', run, 'summary.json'))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }))
}

export function drillLines(logs: string): Record<string, unknown>[] {
  return readFileSync(join(logs, 'stage_b_rotation_drills.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
