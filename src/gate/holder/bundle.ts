// The incident bundle: everything that was left behind, copied to one folder without a credential, with a hash for each file, so that somebody else can verify it.
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, normalize, relative } from 'node:path'
import { makeFolder, writeWhole } from '../../kernel/file.ts'
import type { Secret } from '../../kernel/secret.ts'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { drillsFile, drillsOrigin } from '../connector/drills.ts'
import { instantText } from '../connector/instant.ts'
import { fault } from '../faults.ts'
import { artefactsIn, withoutCredentials } from './artefacts.ts'
import { type ReceiptNeeds, type Written, verifyReceipts, writeReceipt } from './receipts.ts'

const place = 'incidents'
const manifestFile = 'manifest.json'
const sumsFile = 'SHA256SUMS'

/** `isRedacted`: a credential stood in the original, and does not in the copy. */
type BundledFile = { readonly path: string; readonly sha256: string; readonly size_bytes: number; readonly redacted?: true }
type Manifest = { readonly bundle: string; readonly created_at: string; readonly files: readonly BundledFile[] }

export type BundleSettings = {
  readonly logs: string
  readonly tokens: readonly Secret[]
  /** Letters, digits and hyphens: of the folder. */
  readonly incident: string
  /** What is asked now, and kept with the rest: by file name, as JSON. */
  readonly answers: Readonly<Record<string, unknown>>
}

/** Makes it below `<logs>/incidents/`; the hash of its manifest stands in the ledger of receipts. Faults: those of `writeReceipt`. */
export async function makeBundle(needs: ReceiptNeeds, { logs, tokens, incident, answers }: BundleSettings): Promise<Written> {
  const value = (run: string): Manifest => {
    const folder = join(logs, place, run)
    const paths = artefactsIn(logs)
      .map((path) => relative(logs, path))
      .filter(isKept)
    const files = [
      ...paths.map((path) => keep(folder, path, readFileSync(join(logs, path)), tokens)),
      ...Object.entries(answers).map(([path, answer]) =>
        keep(folder, path, Buffer.from(`${JSON.stringify(answer, undefined, 2)}\n`), tokens),
      ),
    ]
    writeWhole(join(folder, sumsFile), files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join(''))
    return { bundle: run, created_at: instantText(needs.clock.now()), files }
  }
  return writeReceipt(needs, logs, place, { name: manifestFile, kind: incident, tokens, value })
}

/** Not other bundles, and not what only their writers use. */
function isKept(path: string): boolean {
  return !path.startsWith(`${place}/`) && !/(?:^|\/)\.|\.(?:lock|reserve|sqlite(?:-\w+)?|db(?:-\w+)?)$/.test(path)
}

function keep(folder: string, path: string, original: Buffer, tokens: readonly Secret[]): BundledFile {
  const text = original.toString('latin1')
  const clean = withoutCredentials(text, tokens)
  const bytes = clean === text ? original : Buffer.from(clean, 'latin1')
  makeFolder(dirname(join(folder, path)))
  writeWhole(join(folder, path), bytes)
  const sha256 = hash('sha256', bytes, 'hex')
  return { path, sha256, size_bytes: bytes.length, ...(clean === text ? {} : { redacted: true }) }
}

export type BundleVerdict = {
  readonly intact: boolean
  /** To be compared with the line of the ledger of receipts. */
  readonly manifest_sha256: string
  readonly files: number
  readonly rotation_ledger: { readonly entries: number; readonly last: string | null }
  readonly problems: readonly { readonly file: string; readonly problem: string }[]
}

/** Verifies a bundle from its files alone. Fault `gate.no_bundle`. */
export async function verifyBundle(folder: string, signal?: AbortSignal): Promise<BundleVerdict> {
  const { manifest, sha256 } = manifestIn(folder)
  const problems: { file: string; problem: string }[] = []
  for (const { path, sha256: expected, redacted } of manifest.files) {
    const found = isInside(path) ? hashOf(join(folder, path)) : 'outside'
    if (found === 'outside') problems.push({ file: path, problem: 'its path leads out of the bundle' })
    else if (found !== expected)
      problems.push({ file: path, problem: found === undefined ? 'it is missing' : 'it was changed after it was bundled' })
    else if (redacted) problems.push({ file: path, problem: 'a credential stood in the original: the copy is without it' })
  }
  const known = new Set([manifestFile, sumsFile, ...manifest.files.map(({ path }) => path)])
  for (const path of artefactsIn(folder).map((one) => relative(folder, one)))
    if (!known.has(path)) problems.push({ file: path, problem: 'it was added after the bundle was made' })
  const options = { file: drillsFile, origin: drillsOrigin, ...(signal ? { signal } : {}) }
  const verdict = await verifyLedger(folder, options)
  if (!verdict.intact) problems.push({ file: drillsFile, problem: `line ${verdict.firstBad.line}: ${verdict.firstBad.problem}` })
  const receipts = await verifyReceipts(folder, signal)
  problems.push(...receipts.problems.filter(({ file }) => !file.startsWith(`${place}/`))) // other bundles are not within this one
  return {
    intact: problems.length === 0,
    manifest_sha256: sha256,
    files: manifest.files.length,
    rotation_ledger: { entries: verdict.entries, last: verdict.last?.hash ?? null },
    problems,
  }
}

function manifestIn(folder: string): { readonly manifest: Manifest; readonly sha256: string } {
  try {
    const bytes = readFileSync(join(folder, manifestFile))
    const manifest = JSON.parse(bytes.toString('utf8')) as Manifest
    if (!manifest.files.every(({ path, sha256 }) => typeof path === 'string' && typeof sha256 === 'string'))
      throw new Error('its files are not named')
    return { manifest, sha256: hash('sha256', bytes, 'hex') }
  } catch (error) {
    throw fault.no_bundle({ folder }, error)
  }
}

function isInside(path: string): boolean {
  return !isAbsolute(path) && !normalize(path).startsWith('..')
}

function hashOf(path: string): string | undefined {
  try {
    return hash('sha256', readFileSync(path), 'hex')
  } catch {
    return undefined
  }
}
