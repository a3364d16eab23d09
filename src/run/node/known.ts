// The services that the node knows, read once for each text: what should run.
import type { Desired } from '../drift.ts'
import { fault } from '../faults.ts'
import { type Own, refuseOwn } from '../own.ts'
import type { Component, Service } from '../service/config.ts'
import { readService } from '../service/read.ts'
import type { Deployed, Registry } from './registry.ts'

/** It was never deployed. */
const never: Deployed = { digests: {}, discarded: new Set() }

export class Known {
  readonly #registry: Registry
  readonly #node: string
  readonly #own: Own
  readonly #read = new Map<string, { readonly text: string; readonly service: Service }>()

  constructor(registry: Registry, node: string, own: Own) {
    this.#registry = registry
    this.#node = node
    this.#own = own
  }

  /** Every service with what it was last deployed by, those that others come after first. A text of another version of us that is not understood is left out. */
  async all(): Promise<readonly Desired[]> {
    const services: Service[] = []
    const registered = this.#registry.services()
    const names = new Set(registered.map(({ name }) => name))
    for (const name of this.#read.keys()) if (!names.has(name)) this.#read.delete(name)
    for (const { name, text } of registered) {
      const known = this.#read.get(name)
      if (known?.text === text) services.push(known.service)
      else {
        const service = await readService(text, `${name}.toml`).catch(() => undefined)
        if (!service) continue
        this.#read.set(name, { text, service })
        services.push(service)
      }
    }
    const deployed = this.#registry.deployed()
    return inOrder(services).map((service) => ({ service, ...(deployed.get(service.name) ?? never) }))
  }

  /** Fault `run.no_service`. */
  async one(name: string): Promise<Desired & { readonly text: string }> {
    const registered = this.#registry.service(name)
    if (!registered) throw fault.no_service({ service: name, node: this.#node })
    const known = this.#read.get(name)
    const service = known?.text === registered.text ? known.service : await readService(registered.text, `${name}.toml`)
    this.#read.set(name, { text: registered.text, service })
    return { service, text: registered.text, ...(this.#registry.deployed(name).get(name) ?? never) }
  }

  /** A definition that is given, checked: it is for this node, and asks for nothing of the node's own. Faults: `config.invalid`, `run.other_name`, `.other_node`, those of `refuseOwn`. */
  async given(text: string, expected?: string): Promise<Service> {
    const service = await readService(text, `${expected ?? 'definition'}.toml`, expected)
    if (service.node !== this.#node) throw fault.other_node({ service: service.name, named: service.node, node: this.#node })
    refuseOwn(service, this.#own)
    return service
  }
}

/** The components that are meant: the one that is named, or all. Fault `run.no_component`. */
export function componentsOf(service: Service, component: string | undefined): readonly Component[] {
  if (component === undefined) return service.components
  const found = service.components.filter(({ name }) => name === component)
  if (found.length === 0) throw fault.no_component({ service: service.name, component, known: service.components.map(({ name }) => name) })
  return found
}

/** Each after those that it names in `after`; in a circle nobody waits. Otherwise by name. */
export function inOrder(services: readonly Service[]): readonly Service[] {
  const byName = new Map(services.map((service) => [service.name, service]))
  const done = new Set<string>()
  const underway = new Set<string>()
  const ordered: Service[] = []
  const visit = (service: Service): void => {
    if (done.has(service.name) || underway.has(service.name)) return
    underway.add(service.name)
    for (const name of service.after) {
      const before = byName.get(name)
      if (before) visit(before)
    }
    underway.delete(service.name)
    done.add(service.name)
    ordered.push(service)
  }
  for (const service of [...services].sort((a, b) => (a.name < b.name ? -1 : 1))) visit(service)
  return ordered
}
