// What was counted since the gate began: in all, and by who called what.
import type { GateCalls } from '../../gate/client.ts'
import { None } from '../shown/empty.tsx'
import { msText } from '../shown/ms.ts'
import { outcomeStanding } from '../shown/outcome.tsx'
import { type Column, Rows } from '../shown/rows.tsx'
import { Tiles } from '../shown/tiles.tsx'
import { Ago } from '../shown/time.tsx'

type Counts = Awaited<ReturnType<GateCalls['count-calls']>>
type Line = Counts['calls'][number] & {
  readonly ended: number
  readonly failed: number
  readonly refused: number
  readonly p95Ms: number | null | undefined
}

const columns: readonly Column<Line>[] = [
  { title: 'Principal', width: 'minmax(7rem, 1fr)', cell: ({ principal }) => principal },
  { title: 'Upstream', width: 'minmax(6rem, 1fr)', cell: ({ upstream }) => upstream },
  { title: 'Called', width: 'minmax(9rem, 2fr)', cell: ({ method, tool }) => (tool === '' ? method : tool) },
  { title: 'Ended', width: '5.5rem', isNumber: true, cell: ({ ended }) => ended },
  { title: 'Failed', width: '5.5rem', isNumber: true, cell: ({ failed }) => failed },
  { title: 'Refused', width: '5.5rem', isNumber: true, cell: ({ refused }) => refused },
  {
    title: '95 % within',
    width: '6.5rem',
    isNumber: true,
    cell: ({ p95Ms }) => (p95Ms === undefined ? '' : p95Ms === null ? 'longer' : msText(p95Ms)),
  },
]

export function Counted({ counts }: { readonly counts: Counts }) {
  const lines = linesOf(counts)
  const sum = (what: 'ended' | 'failed' | 'refused'): number => lines.reduce((all, line) => all + line[what], 0)
  const atDoors = counts.refusals.filter(({ door }) => door !== 'mcp').reduce((all, { count }) => all + count, 0)
  const slowest = slowestOf(counts)
  return (
    <section aria-labelledby="counted">
      <h2 id="counted">
        Since the gate began, <Ago at={counts.since} />
      </h2>
      <Tiles
        tiles={[
          { name: 'requests', value: sum('ended') },
          { name: 'refused', value: sum('refused') + atDoors, note: atDoors === 0 ? undefined : `${atDoors} at the door` },
          { name: 'failed', value: sum('failed') },
          ...(slowest ? [{ name: 'slowest tool, 95 % within', value: slowest.text, note: slowest.tool }] : []),
        ]}
      />
      {lines.length === 0 ? (
        <None>Nothing was called yet.</None>
      ) : (
        <Rows
          label="Calls by principal and tool"
          columns={columns}
          rows={lines}
          keyOf={({ principal, upstream, method, tool }) => `${principal} ${upstream} ${method} ${tool}`}
        />
      )}
    </section>
  )
}

/** Who calls most comes first. */
function linesOf({ calls, times }: Counts): Line[] {
  const took = new Map(times.map((one) => [`${one.upstream}\n${one.method}\n${one.tool}`, one.p95Ms]))
  return calls
    .map((call) => {
      const by = (is: (outcome: string) => boolean): number =>
        Object.entries(call.outcomes).reduce((all, [outcome, count]) => all + (is(outcome) ? count : 0), 0)
      return {
        ...call,
        ended: by(() => true),
        refused: by((outcome) => outcome === 'refused'),
        failed: by((outcome) => outcome !== 'refused' && outcomeStanding(outcome) === 'bad'),
        p95Ms: took.get(`${call.upstream}\n${call.method}\n${call.tool}`),
      }
    })
    .sort((a, b) => b.ended - a.ended)
}

function slowestOf({ times }: Counts): { readonly tool: string; readonly text: string } | undefined {
  const [slowest] = times
    .filter(({ tool }) => tool !== '' && tool !== 'other')
    .map(({ upstream, tool, p95Ms }) => ({ tool: `${tool} of ${upstream}`, ms: p95Ms ?? Infinity }))
    .sort((a, b) => b.ms - a.ms)
  return slowest && { tool: slowest.tool, text: Number.isFinite(slowest.ms) ? msText(slowest.ms) : 'minutes' }
}
