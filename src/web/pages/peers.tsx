// Who reaches this machine from elsewhere, and how: its identity, the sessions there are, who may come in, and who is registered.
import type { GateCalls } from '../../gate/client.ts'
import type { reachCalls } from '../../reach/client.ts'
import { useLive } from '../live.ts'
import { type PageNeeds, page } from '../page.ts'
import { durationText, sizeText } from '../shown/amount.ts'
import { Loaded, None } from '../shown/empty.tsx'
import { Sign } from '../shown/standing.tsx'
import { type Column, Rows } from '../shown/rows.tsx'
import { Ago } from '../shown/time.tsx'

type ReachCalls = ReturnType<typeof reachCalls>
type Shown = Awaited<ReturnType<ReachCalls['show-peers']>>
type Session = Shown['sessions'][number]
type Registered = Awaited<ReturnType<ReachCalls['list-registered']>>
type Names = ReadonlyMap<string, string>

export default page({
  title: 'Peers',
  order: 4,
  icon: 'M12 4a3 3 0 1 0 .1 0M5 15a3 3 0 1 0 .1 0M19 15a3 3 0 1 0 .1 0M10 9l-4 6M14 9l4 6M8 18h8',
  View({ daemons }: PageNeeds) {
    const hosts = daemons.filter(({ kind }) => kind === 'peer')
    if (hosts.length === 0)
      return (
        <None>
          No peer host runs here. One comes with <code>fairlead up</code>
        </None>
      )
    return hosts.map(({ id }) => <Host key={id} id={id} />)
  },
})

function Host({ id }: { readonly id: string }) {
  const shown = useLive<ReachCalls, 'show-peers'>(id, 'show-peers', {}, 1_000)
  const registered = useLive<ReachCalls, 'list-registered'>(id, 'list-registered', {}, 15_000)
  const principals = useLive<GateCalls, 'list-principals'>('gate', 'list-principals', {}, 15_000)
  const names: Names = new Map([
    ...(registered.value ?? []).map(({ peerId, name }) => [peerId, name] as const),
    ...(principals.value ?? []).flatMap(({ name, peers }) => peers.map((peer) => [peer, name] as const)),
  ])
  return (
    <>
      <Loaded of={shown}>
        {(value) => (
          <>
            <Self {...value} />
            <Sessions sessions={value.sessions} names={names} />
            <Authorized {...value} names={names} />
          </>
        )}
      </Loaded>
      <section aria-labelledby="registered">
        <h2 id="registered">At the registry</h2>
        <Loaded of={registered}>{(value) => <AtRegistry registered={value} own={shown.value?.peerId} />}</Loaded>
      </section>
    </>
  )
}

function Self({ peerId, registry, addresses }: Shown) {
  return (
    <section aria-labelledby="self">
      <h2 id="self">This machine</h2>
      <dl class="facts">
        <div>
          <dt>peer id</dt>
          <dd>
            <code>{peerId}</code>
          </dd>
        </div>
        <div>
          <dt>registry</dt>
          <dd>{registry ?? 'none: others need its address'}</dd>
        </div>
        <div>
          <dt>reached at</dt>
          <dd>
            <ul class="plain">
              {addresses.map(({ address, way }) => (
                <li key={address}>
                  <span class="tag">{way}</span> <code>{address.replace(/\/p2p\/[^/]+$/, '')}</code>
                </li>
              ))}
            </ul>
          </dd>
        </div>
      </dl>
    </section>
  )
}

const columns = (names: Names): readonly Column<Session>[] => [
  { title: 'Peer', width: 'minmax(10rem, 2fr)', cell: ({ peer }) => <Peer id={peer} names={names} /> },
  {
    title: 'Now',
    width: '8rem',
    cell: ({ isConnected }) => (
      <>
        <Sign standing={isConnected ? 'good' : 'unknown'} word={isConnected ? 'connected' : 'cut'} />{' '}
        <span aria-hidden="true">{isConnected ? 'connected' : 'cut, may return'}</span>
      </>
    ),
  },
  { title: 'Way', width: 'minmax(11rem, 1.2fr)', cell: ({ isRelayed, ip }) => `${isRelayed ? 'relayed by' : 'direct from'} ${ip}` },
  { title: 'Since', width: '6rem', cell: ({ since }) => <Ago at={since} /> },
  { title: 'Resumed', width: '5.5rem', isNumber: true, cell: ({ cuts, isConnected }) => Math.max(0, isConnected ? cuts : cuts - 1) },
  { title: 'Sent', width: '5rem', isNumber: true, cell: ({ sent }) => sent },
  { title: 'Received', width: '5.5rem', isNumber: true, cell: ({ received }) => received },
  { title: 'Unconfirmed', width: '7rem', isNumber: true, cell: ({ unackedBytes }) => (unackedBytes === 0 ? '–' : sizeText(unackedBytes)) },
]

function Sessions({ sessions, names }: { readonly sessions: readonly Session[]; readonly names: Names }) {
  return (
    <section aria-labelledby="sessions">
      <h2 id="sessions">Sessions through tunnels</h2>
      {sessions.length === 0 ? (
        <None>Nobody is here now.</None>
      ) : (
        <Rows label="Sessions" columns={columns(names)} rows={sessions} keyOf={({ peer, since }) => `${peer} ${since}`} />
      )}
    </section>
  )
}

function Authorized({ authorized, sessions, names }: Shown & { readonly names: Names }) {
  return (
    <section aria-labelledby="authorized">
      <h2 id="authorized">Who may come in</h2>
      {authorized.length === 0 && <None>Nobody: reach.peer.authorized in fairlead.toml names them.</None>}
      <ul class="list">
        {authorized.map((peer) => {
          const own = sessions.filter((session) => session.peer === peer)
          const isHere = own.some(({ isConnected }) => isConnected)
          return (
            <li key={peer}>
              <Sign standing={isHere ? 'good' : 'off'} word={isHere ? 'connected' : 'not here'} />
              <div>
                <p>
                  <strong>{names.get(peer) ?? 'no name is known'}</strong>{' '}
                  {own.length > 0 && <span class="tag">{own.length === 1 ? 'one session' : `${own.length} sessions`}</span>}
                </p>
                <p>
                  <code>{peer}</code>
                </p>
              </div>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function AtRegistry({ registered, own }: { readonly registered: Registered; readonly own: string | undefined }) {
  if (registered.length === 0) return <None>Nobody is registered.</None>
  return (
    <ul class="list">
      {registered.map(({ peerId, name, reachability, ageMs }) => (
        <li key={peerId}>
          <Sign
            standing={reachability.includes('proved)') && !reachability.includes('not proved') ? 'good' : 'unknown'}
            word={reachability}
          />
          <div>
            <p>
              <strong>{name}</strong> {peerId === own && <span class="tag">this machine</span>} <span class="tag">{reachability}</span>
            </p>
            <p>
              <code>{peerId}</code>
            </p>
            <p class="hint">its card is {durationText(ageMs / 1_000)} old</p>
          </div>
        </li>
      ))}
    </ul>
  )
}

function Peer({ id, names }: { readonly id: string; readonly names: Names }) {
  const name = names.get(id)
  return (
    <span title={id}>
      {name !== undefined && <strong>{name} </strong>}
      <code>{id.length > 20 ? `${id.slice(0, 6)}…${id.slice(-6)}` : id}</code>
    </span>
  )
}
