// Runs the official conformance suite against one MCP endpoint and reads its verdicts, so that a run through the gate can be compared with a direct one.
import { mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exec } from '../../src/kernel/exec.ts'

const bin = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))

export type Revision = '2025-11-25' | '2026-07-28'
type Status = 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'

/** One verdict. `nth` tells checks apart that one scenario makes several times; `why` is the suite's message, never compared. */
type Row = {
  readonly scenario: string
  readonly check: string
  readonly nth: number
  readonly status: Status
  readonly why?: string
}
export type Result = { readonly rows: readonly Row[]; readonly passed: number; readonly failed: number }

/** Records of traffic that one scenario writes among its checks: their number depends on how bytes were cut into events. */
const traces = new Set(['outgoing-request', 'incoming-response', 'incoming-sse-event', 'stream-closed'])

type Check = { readonly id: string; readonly status: Status; readonly errorMessage?: string }

function rowsOf(scenario: string, checks: readonly Check[]): Row[] {
  const seen = new Map<string, number>()
  return checks
    .filter((check) => !traces.has(check.id))
    .map(({ id, status, errorMessage }) => {
      const nth = (seen.get(id) ?? 0) + 1
      seen.set(id, nth)
      return { scenario, check: id, nth, status, ...(errorMessage !== undefined && { why: errorMessage }) }
    })
}

/** The suite writes no file for a scenario that threw half-way: that is one failed check. */
async function checksOf(folder: string): Promise<readonly Check[]> {
  try {
    return JSON.parse(await readFile(join(folder, 'checks.json'), 'utf8')) as Check[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return [{ id: 'scenario-ran', status: 'FAILURE', errorMessage: 'the scenario threw' }]
  }
}

/**
 * Runs every server scenario that `requirements` names, scored or not, against `url`; `outDir` (made if absent, must be empty) keeps the suite's files.
 * A failing check is a row, not an error; throws when the suite itself left no verdicts.
 */
export async function runConformance(options: { url: string; requirements: Revision; outDir: string }): Promise<Result> {
  const { url, requirements, outDir } = options
  await mkdir(outDir, { recursive: true })
  const argv = [join(bin, 'conformance'), 'server', '--url', url, '--requirements', requirements, '-o', outDir] as const
  const ran = await exec(argv, {
    env: { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`, HOME: outDir },
    timeoutMs: 120_000,
    maxBytes: 64 << 20,
  })
  const rows: Row[] = []
  for (const folder of (await readdir(outDir)).sort()) {
    // `server-<scenario>-<time>`
    const scenario = /^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/.exec(folder)?.[1]
    if (scenario === undefined) continue
    rows.push(...rowsOf(scenario, await checksOf(join(outDir, folder))))
  }
  if (rows.length === 0)
    throw new Error(`the conformance suite left no verdicts (exit ${String(ran.exitCode)}): ${ran.stderr || ran.stdout}`)
  const count = (status: Status): number => rows.filter((row) => row.status === status).length
  return { rows, passed: count('SUCCESS'), failed: count('FAILURE') }
}

/** A verdict that is not the same in both runs; `undefined` where a run has no such row. */
export type Difference = {
  readonly scenario: string
  readonly check: string
  readonly direct?: Status
  readonly through?: Status
  readonly why?: string
}

/** Every row that differs, in the order of the suite; empty when the two runs say the same. */
export function compare(direct: Result, through: Result): Difference[] {
  const key = (row: Row): string => `${row.scenario}\n${row.check}\n${row.nth}`
  const table = (result: Result): Map<string, Row> => new Map(result.rows.map((row) => [key(row), row]))
  const before = table(direct)
  const after = table(through)
  const differences: Difference[] = []
  for (const at of new Set([...before.keys(), ...after.keys()])) {
    const was = before.get(at)
    const is = after.get(at)
    if (was?.status === is?.status) continue
    const { scenario, check } = (was ?? is)!
    const why = is?.why ?? was?.why
    differences.push({
      scenario,
      check,
      ...(was && { direct: was.status }),
      ...(is && { through: is.status }),
      ...(why !== undefined && { why }),
    })
  }
  return differences
}
