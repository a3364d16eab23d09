// Starts at once all that should run and does not: without back-off, and whatever a service's policy is when something drifts.
import { asFault } from '../../kernel/fault.ts'
import { labelsOfPlace, placeText } from '../container.ts'
import { containersOf } from '../drift.ts'
import type { RunNode } from '../node/node.ts'

export type Recovered = { readonly place: string; readonly did: 'started' | 'made' | 'failed'; readonly reason: string | null }

/** In the order that services come after each other. One that cannot be started holds up no other. Faults: those of the runtime when it does not answer at all. */
export async function recoverAll(
  {
    known,
    runtime,
    places,
    deploying,
    registry,
    monitor,
  }: Pick<RunNode, 'known' | 'runtime' | 'places' | 'deploying' | 'registry' | 'monitor'>,
  say: (component: string, text: string) => void,
): Promise<{ readonly done: readonly Recovered[]; readonly running: number }> {
  const done: Recovered[] = []
  let running = 0
  for (const { service } of await known.all()) {
    if (!service.active) continue
    for (const component of service.components) {
      const place = { service: service.name, component: component.name }
      const text = placeText(place)
      const [found] = containersOf(await runtime.list(labelsOfPlace(place)), place)
      if (found?.container.state === 'running' && !found.container.isStale) {
        running++
        continue
      }
      say(component.name, found ? `start ${text}` : `make ${text}`)
      try {
        const did = await places.alone([text], 'recover', async () => {
          if (found && !found.container.isStale) {
            await runtime.start(found.container.id)
            return 'started'
          }
          if (found) await runtime.remove(found.container.id)
          await deploying.recreate(place, component)
          return 'made'
        })
        registry.note(place, 'recovered', did)
        done.push({ place: text, did, reason: null })
      } catch (error) {
        const { kind, message } = asFault(error)
        if (kind === 'bug') throw error
        done.push({ place: text, did: 'failed', reason: message })
      }
    }
  }
  monitor.hint()
  return { done, running }
}
