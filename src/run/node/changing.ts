// The operations of a node that change something. Each works alone at the places that it touches.
import type { Handlers } from '../../base/control/api.ts'
import { Secret } from '../../kernel/secret.ts'
import { unseal } from '../seal/seal.ts'
import { withActive } from '../service/active.ts'
import type { runApi } from '../api.ts'
import { type Place, containerName, labelsOfPlace, oursIn, placeText } from '../container.ts'
import { containersOf } from '../drift.ts'
import { fault } from '../faults.ts'
import type { Service } from '../service/config.ts'
import type { Deployed, SayProgress } from './deploying.ts'
import { componentsOf } from './known.ts'
import type { RunNode } from './node.ts'
import { purge, synced } from './syncing.ts'

type Changing = Pick<
  Handlers<typeof runApi>,
  'deploy' | 'rollback' | 'set-active' | 'unseal' | 'restart' | 'sync' | 'purge' | 'adopt' | 'undeploy'
>

type Say = (item: { component: string; step: string; text: string }) => Promise<void>

/** What the node mends by itself is soon done; a deployment may take longer than anybody waits. */
const patienceMs = 15_000

export function changing(node: RunNode): Changing {
  const { runtime, registry, known, places, deploying, monitor, health } = node
  const { isSimulated } = runtime
  const alone = async <Result>(all: readonly Place[], doing: string, work: () => Promise<Result>): Promise<Result> => {
    try {
      return await places.alone(all.map(placeText), doing, work, patienceMs)
    } finally {
      monitor.hint()
    }
  }
  return {
    async deploy({ service: name, component, text }, { say }) {
      const service = text === undefined ? (await known.one(name)).service : await known.given(text, name)
      if (!service.active) throw fault.inactive({ service: name })
      const wanted = componentsOf(service, component)
      const all = wanted.map((one) => ({ service: name, component: one.name }))
      const components = await alone(all, 'deploy', async () => {
        if (text !== undefined) registry.setServices([{ name, text }])
        const done: Deployed[] = []
        for (const one of wanted) {
          const end = await deploying.deploy({ service: name, component: one.name }, one, { say: saying(say) })
          done.push(end)
          if (end.outcome === 'rolled-back' || end.outcome === 'failed') break // what comes after may rest on it
        }
        return done
      })
      return { isSimulated, components }
    },
    async rollback({ service: name, component }, { say }) {
      const { service } = await known.one(name)
      const wanted = componentsOf(service, component)
      const ways = wanted.map((one) => {
        const place = { service: name, component: one.name }
        const image = lastWell(node, place)
        if (!image && component !== undefined) throw fault.no_way_back({ place: placeText(place) })
        return { one, place, image }
      })
      const back = ways.filter(({ image }) => image !== undefined)
      if (back.length === 0) throw fault.no_way_back({ place: name })
      const components = await alone(
        back.map(({ place }) => place),
        'roll back',
        async () => {
          const done: Deployed[] = []
          for (const { one, place, image } of back)
            done.push(await deploying.deploy(place, one, { image: image!, say: saying(say), isRollback: true }))
          return done
        },
      )
      return { isSimulated, components }
    },
    async 'set-active'({ service: name, active }, { say }) {
      const { service, text } = await known.one(name)
      const after = await withActive(text, active)
      await alone(placesOf(service), active ? 'start' : 'stop', async () => {
        registry.setServices([{ name, text: after }])
        registry.note({ service: name }, active ? 'started' : 'stopped', active ? 'mcp start' : 'mcp stop')
        for (const one of active ? service.components : service.components.toReversed()) {
          const place = { service: name, component: one.name }
          tell(say, { component: one.name, step: active ? 'start' : 'stop', text: active ? 'start it' : 'stop it' })
          const ours = containersOf(await runtime.list(labelsOfPlace(place)), place)
          if (!active) for (const { container } of ours) await runtime.stop(container.id, one.stop_within)
          else if (ours[0] && !ours[0].container.isStale) await runtime.start(ours[0].container.id)
          else await deploying.recreate(place, one)
        }
      })
      return { isSimulated, text: after }
    },
    async unseal({ service: name, component, password }) {
      const { service } = await known.one(name)
      const sealed = componentsOf(service, component).filter((one) => one.seal !== undefined)
      if (sealed.length === 0) throw fault.no_seal({ place: component === undefined ? name : `${name}/${component}` })
      const secret = new Secret(password)
      for (const one of sealed) {
        const place = { service: name, component: one.name }
        await unseal(node.clock, placeText(place), one.seal!, secret)
        registry.note(place, 'unsealed', 'mcp unseal')
        health.forget(placeText(place))
      }
      monitor.hint()
      return { unsealed: sealed.map((one) => one.name) }
    },
    async restart({ service: name, component }, { say }) {
      const { service } = await known.one(name)
      const wanted = componentsOf(service, component)
      const restarted: string[] = []
      await alone(placesOf(service, component), 'restart', async () => {
        for (const one of wanted) {
          const place = { service: name, component: one.name }
          const [first] = containersOf(await runtime.list(labelsOfPlace(place)), place)
          if (!service.active && !first) continue
          tell(say, { component: one.name, step: 'restart', text: 'restart it' })
          if (first && !first.container.isStale) {
            await runtime.stop(first.container.id, one.stop_within)
            await runtime.start(first.container.id)
          } else {
            if (first) await runtime.remove(first.container.id)
            await deploying.recreate(place, one)
          }
          registry.note(place, 'restarted', 'mcp restart')
          restarted.push(one.name)
        }
      })
      return { isSimulated, restarted }
    },
    sync: (input) => synced(node, input),
    purge: (input) => purge(node, input),
    async adopt({ service: name, text }, { say }) {
      const service = text === undefined ? (await known.one(name)).service : await known.given(text, name)
      const adopted: string[] = []
      const missing: string[] = []
      await alone(placesOf(service), 'adopt', async () => {
        if (text !== undefined) registry.setServices([{ name, text }])
        const observed = await runtime.list()
        for (const one of service.components) {
          const place = { service: name, component: one.name }
          const named = observed.find((container) => container.name === containerName(place))
          if (!named || oursIn(named)) {
            if (!named) missing.push(one.name)
            continue
          }
          tell(say, { component: one.name, step: 'adopt', text: `take over ${named.name}` })
          await deploying.takeOver(place, one, named, saying(say))
          adopted.push(one.name)
        }
      })
      return { isSimulated, adopted, missing }
    },
    async undeploy({ service: name }, { say }) {
      const { service, text } = await known.one(name)
      const removed: string[] = []
      await alone(placesOf(service), 'undeploy', async () => {
        registry.setServices([{ name, text: await withActive(text, false) }])
        for (const one of service.components.toReversed()) {
          const place = { service: name, component: one.name }
          tell(say, { component: one.name, step: 'remove', text: 'take it away' })
          for (const { container } of containersOf(await runtime.list(labelsOfPlace(place)), place)) {
            await runtime.stop(container.id, one.stop_within)
            await runtime.remove(container.id)
            removed.push(container.name)
          }
          registry.setCurrent(place, undefined)
          registry.note(place, 'undeployed', 'its containers are gone; its data folder stays')
        }
      })
      return { isSimulated, removed }
    },
  }
}

function placesOf(service: Service, component?: string): readonly Place[] {
  return componentsOf(service, component).map(({ name }) => ({ service: service.name, component: name }))
}

/** Who went away hears no more of it, and the work goes on. */
function tell(say: Say, item: Parameters<Say>[0]): void {
  void say(item).catch(() => {})
}

function saying(say: Say): SayProgress {
  return (component, step, text, bytes) => tell(say, { component, step, text, ...bytes })
}

/** The newest image that ran well and is another than the one of now. */
function lastWell({ registry }: RunNode, place: Place) {
  const now = registry.current(place)?.digest
  return registry
    .deployments(place.service, place.component, 100)
    .find(({ outcome, image }) => outcome === 'deployed' && image.digest !== now)?.image
}
