// Keeps the evidence of an incident: logs, records, configuration and the journal as they are, each with its hash, in a folder that root alone can enter.
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { needRoom, takeTree, treeBytes } from '../../base/transfer/tree.ts'
import { exec } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, statOf, writeWhole } from '../../kernel/file.ts'
import { fault } from '../faults.ts'
import { type Installation, units } from '../installation.ts'
import { versionFile } from '../update/version-file.ts'

export type Evidence = {
  readonly folder: string
  readonly files: number
  /** Of the list of all hashes: whoever has it can prove that nothing was changed since. */
  readonly sha256: string
  readonly remarks: readonly { readonly path: string; readonly remark: string }[]
}

const spareBytes = 64 << 20
const journalBytes = 256 << 20
const journalTimeoutMs = 120_000
export const sumsName = 'SHA256SUMS'

/**
 * Copies what there is to `folder`, which must not be there. Credentials are no part of it. What cannot be kept, since whoever got in saw to that, is a remark, and keeps nothing else from being kept:
 * the server's own logs, in which its account can put anything, come last. Faults `operate.folder_taken`, `file.*`.
 */
export async function preserve({ logs, config, root }: Installation, folder: string): Promise<Evidence> {
  if (statOf(folder)) throw fault.folder_taken({ folder })
  makeFolder(folder)
  const sums: string[] = []
  const remarks: { path: string; remark: string }[] = []
  for (const [from, into, leaveOut] of [
    [config, 'config', ['secrets.env']],
    [`${logs}-agent`, 'agent-logs', []],
    [logs, 'logs', []],
  ] as const) {
    if (!statOf(from)) continue
    makeFolder(join(folder, into))
    try {
      await needRoom(folder, (await treeBytes(from, leaveOut)) + spareBytes)
      const taken = await takeTree(from, join(folder, into), { leaveOut })
      for (const item of taken.items) if (item.is === 'file') sums.push(`${item.sha256}  ${into}/${item.path}`)
      remarks.push(...taken.remarks.map(({ path, remark }) => ({ path: join(from, path), remark })))
    } catch (error) {
      remarks.push({ path: from, remark: `not kept: ${asFault(error).message}` })
    }
  }
  const keep = (name: string, bytes: Uint8Array): void => {
    writeWhole(join(folder, name), bytes)
    sums.push(`${createHash('sha256').update(bytes).digest('hex')}  ${name}`)
  }
  if (statOf(versionFile(root))) keep('version.json', readFileSync(versionFile(root)))
  keep('journal.json', Buffer.from(await journal(remarks)))
  const list = `${sums.sort().join('\n')}\n`
  writeWhole(join(folder, sumsName), list)
  return { folder, files: sums.length, sha256: createHash('sha256').update(list).digest('hex'), remarks }
}

async function journal(remarks: { path: string; remark: string }[]): Promise<string> {
  const words = units.map((unit) => `--unit=${unit}`)
  try {
    const { stdout } = await exec(['journalctl', '--quiet', '--no-pager', '--output=json', ...words], {
      env: { PATH: '/usr/bin:/bin' },
      timeoutMs: journalTimeoutMs,
      maxBytes: journalBytes,
    })
    return stdout
  } catch (error) {
    remarks.push({ path: 'journal', remark: (error as Error).message })
    return ''
  }
}

export type Suspicion = { readonly file: string; readonly count: number; readonly last: readonly string[] }

/** What the runbook looks for. */
const suspicious = /auth|login|permission|denied|refused/i
const keptOfEach = 20
const shownLength = 500

/** The entries of each log in the evidence that tell of people who were let in or kept out: how many, and the last of them. */
export async function suspicions(folder: string): Promise<readonly Suspicion[]> {
  const listed = readFileSync(join(folder, sumsName), 'utf8').split('\n')
  const logs = listed.map((line) => line.slice(66)).filter((path) => /^(?:agent-)?logs\//.test(path) && !path.endsWith('.gz'))
  const found: Suspicion[] = []
  for (const file of logs) {
    let count = 0
    const last: string[] = []
    for await (const line of createInterface({ input: createReadStream(join(folder, file)), crlfDelay: Infinity })) {
      if (!suspicious.test(line)) continue
      count++
      last.push(line.slice(0, shownLength))
      if (last.length > keptOfEach) last.shift()
    }
    if (count > 0) found.push({ file, count, last })
  }
  return found
}
