// Calls as they end: the newest in a list, and the last few hundred as dots, by when and how long.
import { useRef, useState } from 'preact/hooks'
import type { GateCalls } from '../../gate/client.ts'
import { callsOf } from '../calls.ts'
import { useItems } from '../items.ts'
import { Chart } from '../shown/chart.tsx'
import { None } from '../shown/empty.tsx'
import { msText } from '../shown/ms.ts'
import { Outcome, outcomeStanding } from '../shown/outcome.tsx'
import { type Column, Rows } from '../shown/rows.tsx'
import { Ago } from '../shown/time.tsx'

type Watching = NonNullable<Parameters<GateCalls['watch-calls']>[1]>
type Told = Parameters<NonNullable<Watching['onItem']>>[0]
type EndedCall = Told['calls'][number]
type FoundCall = Awaited<ReturnType<GateCalls['search-calls']>>['found'][number]
type Shown = EndedCall & { readonly key: number }

const gate = callsOf<GateCalls>('gate')
/** As many are kept here. */
const maxKept = 500

const columns: readonly Column<Shown>[] = [
  { title: 'When', width: '6.5rem', cell: ({ time }) => <Ago at={time} /> },
  { title: 'Outcome', width: '8rem', cell: ({ outcome }) => <Outcome outcome={outcome} /> },
  { title: 'Principal', width: 'minmax(6rem, 1fr)', cell: ({ principal }) => principal ?? '–' },
  { title: 'Called', width: 'minmax(9rem, 2fr)', cell: ({ name, method }) => name ?? method ?? '–' },
  { title: 'Upstream', width: 'minmax(6rem, 1fr)', cell: ({ upstream }) => upstream ?? 'the door' },
  { title: 'Took', width: '5rem', isNumber: true, cell: ({ ms }) => (ms === undefined ? '' : msText(ms)) },
  { title: 'Why', width: 'minmax(8rem, 2fr)', cell: ({ reason }) => <span title={reason}>{reason}</span> },
]

export function Feed() {
  const { calls, missed } = useFeed()
  const timed = calls.filter((call) => call.ms !== undefined).toReversed()
  const dots = (isShown: (call: Shown) => boolean) => timed.map((call) => (isShown(call) ? Math.max(0.1, call.ms!) : null))
  const isWell = ({ outcome }: Shown): boolean => outcomeStanding(outcome) !== 'bad'
  return (
    <section aria-labelledby="feed">
      <h2 id="feed">As it happens</h2>
      {calls.length === 0 && <None>No call ended yet. This list fills by itself.</None>}
      {timed.length > 1 && (
        <Chart
          label={`How long the last ${timed.length} calls took, by when they ended`}
          times={timed.map(({ time }) => time)}
          series={[
            { name: 'answered', color: 'good', values: dots(isWell) },
            { name: 'failed or refused', color: 'bad', values: dots((call) => !isWell(call)) },
          ]}
          kind="dots"
          valueText={msText}
        />
      )}
      {missed > 0 && <p class="hint">{missed} more ended too fast to be shown here; the record has them all.</p>}
      {calls.length > 0 && <Rows label="The newest calls" columns={columns} rows={calls} keyOf={({ key }) => key} />}
    </section>
  )
}

type Heard = { readonly calls: readonly Shown[]; readonly missed: number }

/** The newest first: those that ended before the page was opened are the record's. */
function useFeed(): Heard {
  const [heard, set] = useState<Heard>({ calls: [], missed: 0 })
  const keys = useRef(0)
  const keyed = (call: EndedCall): Shown => ({ ...call, key: ++keys.current })
  const isSeeded = useRef(false)
  useItems<Told>('gate', 'watch-calls', ({ calls, missed }) => {
    set((before) => ({
      calls: [...calls.map(keyed).toReversed(), ...before.calls].slice(0, maxKept),
      missed: before.missed + missed,
    }))
    if (isSeeded.current) return
    isSeeded.current = true // the gate tells from now on what ends: what ended before is in its record
    const untilMs = calls[0]?.time ?? Infinity
    gate['search-calls']({ limit: 200 })
      .then(({ found }) => {
        const earlier = found.filter(({ outcome }) => outcome !== 'open').map(endedOf)
        set((before) => {
          const oldest = before.calls.at(-1)?.time ?? untilMs
          const seed = earlier.filter(({ time }) => time < oldest).map(keyed)
          return { ...before, calls: [...before.calls, ...seed].slice(0, maxKept) }
        })
      })
      .catch(() => {}) // the record's own part of the page says why
  })
  return heard
}

function endedOf({ time, ms = 0, principal, upstream, method, name, outcome, reason, what }: FoundCall): EndedCall {
  return { time: Date.parse(time) + ms, principal, upstream, method, name, outcome, reason, ...(what === 'call' ? { ms } : {}) }
}
