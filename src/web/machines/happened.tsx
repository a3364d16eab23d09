// What happened on a node, newest first.
import { Ago } from '../shown/time.tsx'
import type { NodeEvent } from './node.ts'

export function Happened({ events }: { readonly events: readonly NodeEvent[] }) {
  if (events.length === 0) return null
  return (
    <details>
      <summary>What happened ({events.length})</summary>
      <ul class="events">
        {events
          .toSorted((a, b) => b.id - a.id)
          .map(({ id, time, service, component, event, detail }) => (
            <li key={id}>
              <Ago at={time} />
              <p>
                {service !== null && <strong>{component === null || component === service ? service : `${service}/${component}`}</strong>}{' '}
                <span class="tag">{event}</span> {detail}
              </p>
            </li>
          ))}
      </ul>
    </details>
  )
}
