// All nodes and what runs on them: what is desired, what is observed, and what can be done about the difference.
import { useState } from 'preact/hooks'
import type { ShownDaemon } from '../../gate/dashboard/client.ts'
import { useLive } from '../live.ts'
import { page } from '../page.ts'
import { Loaded, None } from '../shown/empty.tsx'
import { StandingTag } from '../shown/standing.tsx'
import { Ago } from '../shown/time.tsx'
import { Happened } from '../machines/happened.tsx'
import { type Component, type NodeCalls, type NodeStatus, type Service, standingOf } from '../machines/node.ts'
import { ServiceRows } from '../machines/service-rows.tsx'

export default page({
  title: 'Machines',
  order: 2,
  icon: 'M4 4h16v6H4zm0 10h16v6H4zM7 7h2m-2 10h2',
  View({ daemons, signed }) {
    const [sought, setSought] = useState('')
    const [isAilingOnly, setAilingOnly] = useState(false)
    const nodes = daemons.filter(({ kind }) => kind === 'node')
    if (nodes.length === 0)
      return (
        <None>
          No node is known here. On this machine: <code>fairlead run agent serve</code>; another one:{' '}
          <code>fairlead run node add NAME ADDRESS</code>.
        </None>
      )
    const isShown = (service: Service): boolean =>
      service.name.includes(sought) && (!isAilingOnly || service.components.some((one) => standingOf(service, one) === 'bad'))
    return (
      <>
        <form class="row filters" role="search" onSubmit={(event) => event.preventDefault()}>
          <label>
            <span class="visually-hidden">Services whose name has</span>
            <input
              type="search"
              placeholder="Find a service"
              value={sought}
              onInput={(event) => setSought(event.currentTarget.value.trim())}
            />
          </label>
          <label class="check">
            <input type="checkbox" checked={isAilingOnly} onChange={(event) => setAilingOnly(event.currentTarget.checked)} /> only those
            that need attention
          </label>
        </form>
        {nodes.map((node) => (
          <Node key={node.id} node={node} isShown={isShown} mayChange={signed.level === 'change'} />
        ))}
      </>
    )
  },
})

type NodeNeeds = { readonly node: ShownDaemon; readonly isShown: (service: Service) => boolean; readonly mayChange: boolean }

function Node({ node, isShown, mayChange }: NodeNeeds) {
  const status = useLive<NodeCalls, 'status'>(node.id, 'status', { events: 20 })
  return (
    <section class="card node" aria-labelledby={node.id}>
      <header>
        <h2 id={node.id}>{node.name}</h2>
        {status.value && <Summary status={status.value} />}
        <span class="where">{node.where}</span>
      </header>
      <Loaded of={status}>
        {(value) => (
          <>
            <ServiceRows node={node} services={value.services.filter(isShown)} mayChange={mayChange} />
            {value.services.length === 0 && (
              <None>
                Nothing is deployed there yet: <code>fairlead run deploy SERVICE</code>.
              </None>
            )}
            {value.unmanaged.length > 0 && (
              <p class="hint">
                {value.unmanaged.length} further containers are nobody's: {value.unmanaged.map(({ name }) => name).join(', ')}
              </p>
            )}
            <Happened events={value.events} />
          </>
        )}
      </Loaded>
    </section>
  )
}

function Summary({ status: { services, runtime, isSimulated, observedAt } }: { readonly status: NodeStatus }) {
  const all: readonly (readonly [Service, Component])[] = services.flatMap((service) =>
    service.components.map((one) => [service, one] as const),
  )
  const bad = all.filter(([service, one]) => standingOf(service, one) === 'bad').length
  return (
    <>
      <StandingTag
        standing={bad > 0 ? 'bad' : 'good'}
        word={bad > 0 ? `${bad} of ${all.length} need attention` : `${all.length} as desired`}
      />
      <span class="tag">{runtime}</span>
      {isSimulated && <span class="tag">simulated</span>}
      <Ago at={observedAt} />
    </>
  )
}
