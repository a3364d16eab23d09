// Receipts: files whose hash stands in a ledger of their own beside them, so that anybody can tell that they are what they were.
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault, reasonOf } from '../../kernel/fault.ts'
import { makeFolder, statOf, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { Secret } from '../../kernel/secret.ts'
import { type Ledger, openLedger } from '../../base/ledger/ledger.ts'
import { entriesFrom } from '../../base/ledger/lines.ts'
import { namesOf } from '../../base/ledger/segments.ts'
import { verifyLedger } from '../../base/ledger/verify.ts'
import { compactText } from '../connector/instant.ts'
import { withoutCredentials } from './artefacts.ts'

export const receiptsFile = 'stage_b_receipts.jsonl'
const receiptsOrigin = 'fairlead/gate/receipts'

export type ReceiptNeeds = { readonly clock: Clock; readonly log: Log }

/** `name`: of the file in the receipt's folder. `value`: what it holds as JSON, when it knows what its run is called. */
export type Receipt = {
  readonly name: string
  readonly kind: string
  value(run: string): unknown
  readonly tokens: readonly Secret[]
}

/** `file` is relative to the folder of logs. */
export type Written = { readonly run: string; readonly file: string; readonly sha256: string }

const lockTries = 50
const lockWaitMs = 100

/**
 * Writes `<logs>/<place>/<UTC>-<kind>/<name>` and its hash. Two runs of one second get a second each; no credential is written, whatever the value holds. Faults: those of
 * `openLedger`, of its `append`, and of `writeWhole`.
 */
export async function writeReceipt(needs: ReceiptNeeds, logs: string, place: string, receipt: Receipt): Promise<Written> {
  const ledger = await opened(needs, logs) // from here on nobody else chooses a name
  try {
    let ms = needs.clock.now()
    const folderOf = (): string => `${place}/${compactText(ms)}-${receipt.kind}`
    while (statOf(join(logs, folderOf()))) ms += 1_000
    const run = `${compactText(ms)}-${receipt.kind}`
    const file = `${folderOf()}/${receipt.name}`
    const text = `${withoutCredentials(JSON.stringify(receipt.value(run), undefined, 2), receipt.tokens)}\n`
    makeFolder(dirname(join(logs, file)))
    writeWhole(join(logs, file), text)
    const sha256 = hash('sha256', text, 'hex')
    await ledger.append({ event: 'receipt', kind: receipt.kind, file, sha256 }, 'synced')
    return { run, file, sha256 }
  } finally {
    await ledger.close()
  }
}

async function opened({ clock, log }: ReceiptNeeds, folder: string): Promise<Ledger> {
  for (let tries = 1; ; tries++) {
    try {
      return openLedger({ folder, file: receiptsFile, origin: receiptsOrigin, clock, log })
    } catch (error) {
      if (asFault(error).code !== 'store.locked' || tries === lockTries) throw error
      await clock.wait(lockWaitMs)
    }
  }
}

export type ReceiptsVerdict = {
  readonly checked: number
  readonly problems: readonly { readonly file: string; readonly problem: string }[]
}

/** Whether the ledger of receipts is whole, and every file that it names is what it was. Fault `ledger.unreadable`. */
export async function verifyReceipts(logs: string, signal?: AbortSignal): Promise<ReceiptsVerdict> {
  const options = { file: receiptsFile, origin: receiptsOrigin, ...(signal ? { signal } : {}) }
  const verdict = await verifyLedger(logs, options)
  if (!verdict.intact)
    return { checked: 0, problems: [{ file: receiptsFile, problem: `line ${verdict.firstBad.line}: ${verdict.firstBad.problem}` }] }
  const problems: { file: string; problem: string }[] = []
  let checked = 0
  for await (const entries of entriesFrom(namesOf(logs, receiptsFile), 1)) {
    for (const { bytes } of entries) {
      const { event, file, sha256 } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
      if (event !== 'receipt' || typeof file !== 'string') continue
      checked++
      const found = hashOf(join(logs, file))
      if (found !== sha256) problems.push({ file, problem: found === undefined ? 'it is missing' : 'it was changed after it was written' })
    }
  }
  return { checked, problems }
}

function hashOf(path: string): string | undefined {
  try {
    return hash('sha256', readFileSync(path), 'hex')
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return undefined
    throw error
  }
}
