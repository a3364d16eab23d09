// What a person reads of a verdict on a ledger: intact and how safe, or which entry is the first bad one.
import type { Sighting, WitnessedVerdict } from './verify-witnessed.ts'

/** `remedy`: what to do about a ledger that is not intact, if there is anything. */
export function verdictText(verdict: WitnessedVerdict, remedy = ''): string {
  const { entries, last, gaps, torn, durability, checkpoint, witnesses, earlier, problems } = verdict
  const head = verdict.intact
    ? [`intact: ${entries} entries${last ? `, last ${last.seq} (${last.hash})` : ''}`]
    : [
        `not intact: ${verdict.firstBad.file} line ${verdict.firstBad.line}, entry ${verdict.firstBad.seq}: ${verdict.firstBad.problem}`,
        `good before it: ${durability.written} entries${remedy}`,
      ]
  const missing = gaps.map(({ from, to, hashesKept }) =>
    hashesKept ? `dropped: entries ${from} to ${to}; their hashes are kept` : `missing: entries ${from} to ${to}`,
  )
  const safe =
    durability.written === 0
      ? []
      : [`written up to ${durability.written}, synced up to ${durability.synced || 'none'}, ${witnessedText(witnesses)}`]
  return [
    ...head,
    ...safe,
    ...(checkpoint > 0 ? [`signed by its owner up to ${checkpoint}`] : []),
    ...witnesses.slice(1).map((one) => sightingText(one)),
    ...earlier.map((one) => `an earlier chain was ${sightingText(one)}: it was deleted, or made anew`),
    ...missing,
    ...torn.map(({ file, sizeBytes }) => `unfinished: ${sizeBytes} bytes at the end of ${file}`),
    ...problems.map((problem) => `unusable: ${problem}`),
  ].join('\n')
}

function witnessedText([first]: readonly Sighting[]): string {
  return first ? sightingText(first) : 'witnessed by nobody'
}

function sightingText({ by, at, size }: Sighting): string {
  return `witnessed up to ${size} by ${by} at ${at}`
}
