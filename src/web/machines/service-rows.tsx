// The services of a node as rows: desired beside observed, each drift with the field that differs, and what can be done.
import { useState } from 'preact/hooks'
import type { ShownDaemon } from '../../gate/dashboard/client.ts'
import { Sign } from '../shown/standing.tsx'
import { Ago } from '../shown/time.tsx'
import { Change, type Changing } from './change.tsx'
import { Logs } from './logs.tsx'
import { type Component, type Service, imageText, standingOf } from './node.ts'

type Needs = { readonly node: ShownDaemon; readonly services: readonly Service[]; readonly mayChange: boolean }
type Open = { readonly is: 'logs'; readonly service: string; readonly component: string } | ({ readonly is: 'change' } & Changing)

export function ServiceRows({ node, services, mayChange }: Needs) {
  const [open, setOpen] = useState<Open>()
  if (services.length === 0) return null
  const close = (): void => setOpen(undefined)
  return (
    <>
      <table class="services">
        <thead>
          <tr>
            <th scope="col">Component</th>
            <th scope="col">Desired</th>
            <th scope="col">Observed</th>
            <th scope="col">Differs in</th>
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {services.flatMap((service) =>
            service.components.map((component, at) => (
              <Row
                key={`${service.name}/${component.name}`}
                service={service}
                component={component}
                isFirst={at === 0}
                mayChange={mayChange}
                open={setOpen}
              />
            )),
          )}
        </tbody>
      </table>
      {open?.is === 'logs' && <Logs node={node} service={open.service} component={open.component} close={close} />}
      {open?.is === 'change' && <Change node={node} changing={open} close={close} />}
    </>
  )
}

type RowNeeds = {
  readonly service: Service
  readonly component: Component
  readonly isFirst: boolean
  readonly mayChange: boolean
  readonly open: (what: Open) => void
}

function Row({ service, component, isFirst, mayChange, open }: RowNeeds) {
  const standing = standingOf(service, component)
  const { name, desired, observed, health, reason, drifts, isFlapping } = component
  const place = name === service.name ? name : `${service.name}/${name}`
  return (
    <tr class={standing}>
      <th scope="row" data-label="Component">
        <Sign standing={standing} word={isFlapping ? 'keeps failing' : health} /> {place}
      </th>
      <td data-label="Desired">
        {desired.state} <span class="tag">{imageText(desired.image)}</span>
      </td>
      <td data-label="Observed">
        {observed ? (
          <>
            {observed.state} <span class="tag">{imageText(observed.image.reference)}</span>{' '}
            {observed.state === 'running' && observed.startedAt !== null && (
              <small>
                since <Ago at={observed.startedAt} />
              </small>
            )}
            {observed.exitCode !== null && observed.state === 'exited' && <small>exit code {observed.exitCode}</small>}
          </>
        ) : (
          <em>nothing</em>
        )}
        {reason !== null && <p class="hint">{reason}</p>}
      </td>
      <td data-label="Differs in">
        {drifts.map(({ cause, field, desired: wanted, observed: seen }) => (
          <p key={`${cause} ${field}`} class="drift">
            <strong>{field}</strong> <del>{seen}</del> <span aria-hidden="true">→</span> <ins>{wanted}</ins>
          </p>
        ))}
      </td>
      <td class="actions">
        <button type="button" aria-label={`Logs of ${place}`} onClick={() => open({ is: 'logs', service: service.name, component: name })}>
          Logs
        </button>
        {mayChange && isFirst && <Menu service={service} open={open} />}
      </td>
    </tr>
  )
}

function Menu({ service: { name, active }, open }: { readonly service: Service; readonly open: (what: Open) => void }) {
  const choose = (event: Event): void => {
    const select = event.currentTarget as HTMLSelectElement
    const act = select.value as Changing['act'] | ''
    select.value = ''
    if (act !== '') open({ is: 'change', act, service: name })
  }
  return (
    <select aria-label={`Change ${name}`} value="" onChange={choose}>
      <option value="">Change…</option>
      <option value="deploy">Deploy</option>
      <option value="rollback">Roll back</option>
      <option value="restart">Restart</option>
      <option value={active ? 'stop' : 'start'}>{active ? 'Stop' : 'Start'}</option>
    </select>
  )
}
