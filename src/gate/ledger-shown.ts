// What a person reads of a search in the gate's record: a table, newest first, and whether what was searched is what was written.
import { tableText } from '../base/terminal/table.ts'
import { visibleText } from '../base/terminal/visible.ts'
import type { Found, SearchResult, Searched } from './ledger-search.ts'

const maxCellLength = 60

export function searchText({ found, more, searched }: SearchResult): string {
  const head = ['TIME', 'ENTRY', 'PRINCIPAL', 'UPSTREAM', 'WHAT', 'OUTCOME', 'MS', 'WHY']
  const rows = found.map((one) => [
    one.time,
    String(one.seq),
    one.principal ?? '-',
    one.upstream ?? one.door ?? '-',
    whatOf(one),
    one.outcome,
    one.ms === undefined ? '' : String(Math.round(one.ms)),
    one.reason ?? (one.further === undefined ? '' : `${one.further} further refusals in the same second`),
  ])
  const table = found.length === 0 ? 'nothing was found' : tableText([head, ...rows.map((row) => row.map(cell))])
  return `${table}\n${more ? 'there are older ones: see --limit and --to\n' : ''}${searchedText(searched)}`
}

function whatOf({ method, name, path, peer }: Found): string {
  if (method === 'tools/call') return name ?? method
  return [method, name ?? path ?? peer].filter((part) => part !== undefined).join(' ')
}

function cell(text: string): string {
  const line = visibleText(text).replaceAll('\n', ' ')
  return line.length > maxCellLength ? `${line.slice(0, maxCellLength - 1)}…` : line
}

function searchedText(searched: Searched): string {
  const { entries, from, to } = searched
  if (entries === 0 && searched.intact) return 'searched: no entries'
  const where = `searched: ${entries} entries, ${from} to ${to}`
  if (searched.intact) return `${where}: intact`
  const { file, line, problem } = searched.firstBad
  return `${where}: not intact: ${visibleText(file)} line ${line}: ${problem}`
}
