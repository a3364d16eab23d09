// The shared cache: how much it answered by itself, what that saved over time, and who takes part.
import type { shareCalls } from '../../share/client.ts'
import { useLive } from '../live.ts'
import { type PageNeeds, page } from '../page.ts'
import { percentText, sizeText } from '../shown/amount.ts'
import { Chart } from '../shown/chart.tsx'
import { Loaded, None } from '../shown/empty.tsx'
import { Sign } from '../shown/standing.tsx'
import { Tiles } from '../shown/tiles.tsx'
import { Ago } from '../shown/time.tsx'

type ShareCalls = ReturnType<typeof shareCalls>
type Stats = Awaited<ReturnType<ShareCalls['stats']>>
type Samples = Awaited<ReturnType<ShareCalls['show-history']>>['samples']

export default page({
  title: 'Cache',
  order: 6,
  icon: 'M4 6c0-2 16-2 16 0v12c0 2-16 2-16 0zM4 6c0 2 16 2 16 0M4 12c0 2 16 2 16 0',
  View({ daemons }: PageNeeds) {
    const caches = daemons.filter(({ kind }) => kind === 'cache')
    if (caches.length === 0)
      return (
        <None>
          No cache runs here. One that makes the same API call once: <code>fairlead share proxy</code>
        </None>
      )
    return caches.map((cache) => <Cache key={cache.id} id={cache.id} name={cache.name} where={cache.where} />)
  },
})

function Cache({ id, name, where }: { readonly id: string; readonly name: string; readonly where: string }) {
  const stats = useLive<ShareCalls, 'stats'>(id, 'stats', {}, 2_000)
  const history = useLive<ShareCalls, 'show-history'>(id, 'show-history', {}, 10_000)
  const group = useLive<ShareCalls, 'group'>(id, 'group', {}, 2_000)
  return (
    <>
      <section aria-labelledby={`${id}-counts`}>
        <h2 id={`${id}-counts`}>
          {name} <small class="where">{where}</small>
        </h2>
        <Loaded of={stats}>{(value) => <Counts stats={value} />}</Loaded>
      </section>
      <section aria-labelledby={`${id}-history`}>
        <h2 id={`${id}-history`}>Over the last day</h2>
        <Loaded of={history}>{({ samples }) => <Saved samples={samples} />}</Loaded>
      </section>
      <section aria-labelledby={`${id}-members`}>
        <h2 id={`${id}-members`}>Who takes part</h2>
        <Loaded of={group}>{(value) => <Members {...value} />}</Loaded>
      </section>
    </>
  )
}

function Counts({ stats }: { readonly stats: Stats }) {
  const of = (what: Exclude<keyof Stats, 'p2p_enabled' | 'peer_id' | 'group'>): number => stats[what] ?? 0
  const more: readonly (readonly [name: string, value: number])[] = [
    ['told by another machine', of('peer_hits')],
    ['waited for the same call', of('joined')],
    ['stale, since the API was not there', of('stale_hits')],
    ['needed a call', of('misses')],
    ['the API said: still holds', of('not_modified')],
    ['passed through, as writes do', of('passed')],
    ['held back at the limit of the API', of('held_back')],
    ['expired', of('expirations')],
    ['evicted for want of room', of('evictions')],
    ['refused: not what it should be', of('refused')],
  ]
  return (
    <>
      <Tiles
        tiles={[
          {
            name: 'answered without a call',
            value: percentText(of('hit_rate') * 100),
            note: `${of('hits')} of ${of('hits') + of('misses')}`,
          },
          { name: 'API calls saved', value: of('api_calls_saved') },
          { name: 'API calls made', value: of('api_calls_made') },
          { name: 'kept', value: of('cache_size'), note: sizeText(of('cache_size_bytes')) },
        ]}
      />
      <dl class="facts many">
        {more.map(([what, value]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd class="number">{value}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}

/** Since the day began that is shown. */
function Saved({ samples }: { readonly samples: Samples }) {
  const [first] = samples
  const last = samples.at(-1)
  if (!first || !last || samples.length < 2) return <None>Nothing was asked for yet.</None>
  const since = (of: 'api_calls_saved' | 'api_calls_made'): number[] => samples.map((sample) => sample[of] - first[of])
  const saved = last.api_calls_saved - first.api_calls_saved
  const made = last.api_calls_made - first.api_calls_made
  return (
    <Chart
      label={`In the time that is shown ${saved} calls were saved, and ${made} made`}
      times={samples.map(({ at }) => at)}
      series={[
        { name: 'calls saved', color: 'good', values: since('api_calls_saved') },
        { name: 'calls made', color: 'accent', values: since('api_calls_made') },
      ]}
      kind="lines"
      valueText={String}
    />
  )
}

const roles = {
  host: 'This machine is the host of its group.',
  member: 'This machine is a member of a group.',
  alone: 'This cache is in no group: what it keeps is for this machine.',
} as const

type MembersProps = Awaited<ReturnType<ShareCalls['group']>>

function Members({ role, connected }: MembersProps) {
  return (
    <>
      <p>{roles[role]}</p>
      {role === 'host' && connected.length === 0 && <None>No member is connected.</None>}
      {role === 'member' && connected.length === 0 && <None>The host is not connected: this machine goes on alone, and tries again.</None>}
      <ul class="list">
        {connected.map(({ peer, since }) => (
          <li key={`${peer} ${since}`}>
            <Sign standing="good" word="connected" />
            <div>
              <p>
                <code>{peer}</code>
              </p>
              <p class="hint">
                {role === 'member' ? 'the host' : 'a member'}, connected <Ago at={since} />
              </p>
            </div>
          </li>
        ))}
      </ul>
    </>
  )
}
