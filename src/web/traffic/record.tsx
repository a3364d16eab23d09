// The gate's record: searched, page by page, with whether what was read is what was written, and how far others have seen it.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { GateCalls } from '../../gate/client.ts'
import { callsOf } from '../calls.ts'
import { type Failure, failureOf } from '../failure.ts'
import { None } from '../shown/empty.tsx'
import { msText } from '../shown/ms.ts'
import { Outcome } from '../shown/outcome.tsx'
import { Problem } from '../shown/problem.tsx'
import { type Column, Rows } from '../shown/rows.tsx'
import { StandingTag } from '../shown/standing.tsx'
import { Ago } from '../shown/time.tsx'

type Result = Awaited<ReturnType<GateCalls['search-calls']>>
type FoundCall = Result['found'][number]
type Wanted = Parameters<GateCalls['search-calls']>[0]

const gate = callsOf<GateCalls>('gate')
const pageSize = 1_000
const outcomes = ['ok', 'tool_error', 'error', 'refused', 'notSent', 'unknown', 'cancelled', 'open'] as const
const fields = [
  ['principal', 'Principal'],
  ['upstream', 'Upstream'],
  ['tool', 'Tool'],
  ['reason', 'Why, or a part of it'],
] as const

const columns: readonly Column<FoundCall>[] = [
  { title: 'Entry', width: '5rem', isNumber: true, cell: ({ seq }) => seq },
  { title: 'Time (UTC)', width: '12.5rem', cell: ({ time }) => <time dateTime={time}>{time.replace('T', ' ').replace('Z', '')}</time> },
  { title: 'Outcome', width: '8rem', cell: ({ outcome }) => <Outcome outcome={outcome} /> },
  { title: 'Principal', width: 'minmax(6rem, 1fr)', cell: ({ principal, peer }) => principal ?? peer ?? '–' },
  { title: 'Called', width: 'minmax(9rem, 2fr)', cell: ({ name, method, path }) => name ?? [method, path].filter(Boolean).join(' ') },
  { title: 'Upstream', width: 'minmax(6rem, 1fr)', cell: ({ upstream, door }) => upstream ?? (door === undefined ? '–' : `door: ${door}`) },
  { title: 'Took', width: '5rem', isNumber: true, cell: ({ ms }) => (ms === undefined ? '' : msText(ms)) },
  { title: 'Why', width: 'minmax(8rem, 2fr)', cell: (found) => <span title={whyOf(found)}>{whyOf(found)}</span> },
]

function whyOf({ reason, further }: FoundCall): string | undefined {
  return reason ?? (further === undefined ? undefined : `${further} further refusals in the same second`)
}

export function Record() {
  const { wanted, setWanted, result, failure, isLooking, more } = useSearch()
  return (
    <section aria-labelledby="record">
      <h2 id="record">The record</h2>
      <Form search={setWanted} isLooking={isLooking} wanted={wanted} />
      {failure && <Problem failure={failure} />}
      {result && <Proof result={result} />}
      {result?.found.length === 0 && <None>Nothing was found.</None>}
      {result && result.found.length > 0 && (
        <Rows label="What was found in the record" columns={columns} rows={result.found} keyOf={({ seq }) => seq} nearEnd={more} />
      )}
    </section>
  )
}

/** A search begins with its newest entries; older ones are fetched when the end of those comes near. */
function useSearch() {
  const [wanted, setWanted] = useState<Wanted>({})
  const [result, setResult] = useState<Result | undefined>(undefined)
  const [failure, setFailure] = useState<Failure | undefined>(undefined)
  const [isLooking, setLooking] = useState(false)
  const current = useRef(0)
  const fetchPage = (before: Result | undefined): void => {
    const own = before ? current.current : ++current.current
    const oldest = before?.found.at(-1)?.seq
    setLooking(true)
    gate['search-calls']({ ...wanted, limit: pageSize, ...(oldest === undefined ? {} : { before: oldest }) })
      .then((page) => {
        if (own !== current.current) return // another search was begun
        setFailure(undefined)
        setResult(before ? { ...page, found: [...before.found, ...page.found] } : page)
      })
      .catch((error: unknown) => own === current.current && setFailure(failureOf(error)))
      .finally(() => own === current.current && setLooking(false))
  }
  useEffect(() => fetchPage(undefined), [wanted])
  return {
    wanted,
    /** The same again looks again. */
    setWanted,
    result,
    failure,
    isLooking,
    more(): void {
      if (result?.more && !isLooking && !failure) fetchPage(result)
    },
  }
}

type FormProps = { readonly wanted: Wanted; readonly isLooking: boolean; readonly search: (wanted: Wanted) => void }

function Form({ wanted, isLooking, search }: FormProps) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault()
    const given = new FormData(event.currentTarget as HTMLFormElement)
    const entries = [...given].flatMap(([name, value]) => (typeof value === 'string' && value.trim() !== '' ? [[name, value.trim()]] : []))
    search(Object.fromEntries(entries) as Wanted)
  }
  return (
    <form class="search" role="search" aria-label="Search in the record" onSubmit={submit}>
      {fields.map(([name, title]) => (
        <label key={name}>
          {title}
          <input name={name} maxLength={512} autocomplete="off" spellcheck={false} defaultValue={wanted[name] ?? ''} />
        </label>
      ))}
      <label>
        Outcome
        <select name="outcome">
          <option value="">all</option>
          {outcomes.map((outcome) => (
            <option key={outcome} value={outcome}>
              {outcome}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="main" aria-busy={isLooking}>
        Search
      </button>
    </form>
  )
}

/** What the entries that were read are worth. */
function Proof({ result }: { readonly result: Result }) {
  const { searched, signed, witnessed, found, more } = result
  const { intact, entries, from, to, firstBad } = searched
  const [last] = witnessed
  return (
    <div class="proof" role="status">
      <StandingTag standing={intact ? 'good' : 'bad'} word={intact ? 'intact' : 'not intact'} />
      <span>
        {found.length}
        {more ? '+' : ''} found in {entries} entries{entries > 0 && `, ${from} to ${to}`}
      </span>
      {firstBad && (
        <span>
          first bad: {firstBad.file} line {firstBad.line}: {firstBad.problem}
        </span>
      )}
      <span>{signed === 0 ? 'signed by nobody' : `signed up to ${signed}`}</span>
      {last ? (
        <span>
          witnessed up to {last.size} by <code title={last.by}>{last.by.slice(0, 12)}…</code>, <Ago at={last.at} />
        </span>
      ) : (
        <span>witnessed by nobody</span>
      )}
    </div>
  )
}
