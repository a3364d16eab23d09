// Which daemons the dashboard reaches from here, and how somebody who is let in calls them.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answering, answering, type CallRecord } from '../../base/control/answering.ts'
import type { Api, Calls, Handlers } from '../../base/control/api.ts'
import { forwardable, forwarding } from '../../base/control/forward.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { ShownDaemon } from './client.ts'
import { fault } from './faults.ts'
import type { Person } from './people.ts'

/** A daemon with its operations; `handlers` are called for a person who may. */
export type Reachable = ShownDaemon & { readonly api: Api; readonly handlers: Handlers<Api> }

/** A port: those that there are now. Asked often, so who fills it remembers for a while. */
export type Reach = () => Promise<readonly Reachable[]>

/** A daemon that is reached by its client. */
export function reachable<A extends Api>(shown: ShownDaemon, api: A, calls: Calls<A>): Reachable {
  return { ...shown, api: forwardable(api), handlers: forwarding(api, calls) as Handlers<Api> }
}

export type DaemonsNeeds = { readonly clock: Clock; readonly log: Log; readonly ledger: Ledger; readonly reach: Reach }

/** Throws `dashboard.only_observes` where the operation changes something and the person may only look. */
export function checkLevel({ name: person, level }: Person, { operation, privilege }: { operation: string; privilege: string }): void {
  if (level !== 'change' && privilege !== 'observe') throw fault.only_observes({ person, operation })
}

/** Calls of daemons as they come in over HTTP: `POST /api/<id>/<operation>`. */
export class Daemons {
  readonly #needs: DaemonsNeeds
  /** By id; another daemon under the same id has handlers of its own. */
  readonly #answering = new Map<string, { readonly of: Reachable; readonly calls: Answering }>()
  readonly #people = new WeakMap<IncomingMessage, () => Promise<Person>>()

  constructor(needs: DaemonsNeeds) {
    this.#needs = needs
  }

  async list(): Promise<readonly ShownDaemon[]> {
    return (await this.#needs.reach()).map(({ id, kind, name, where }) => ({ id, kind, name, where }))
  }

  /** Fault `dashboard.no_daemon`. */
  async named(id: string): Promise<Reachable> {
    const found = (await this.#needs.reach()).find((one) => one.id === id)
    if (!found) throw fault.no_daemon({ id })
    return found
  }

  /** Answers one call. `who` is asked again while a stream goes on. */
  async answer(
    id: string,
    operation: string,
    who: () => Promise<Person>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const daemon = await this.named(id)
    this.#people.set(request, who)
    request.url = `/v1/${operation}`
    this.#callsOf(daemon).take(request, response)
  }

  close(): void {
    for (const { calls } of this.#answering.values()) calls.stop()
  }

  #callsOf(daemon: Reachable): Answering {
    const known = this.#answering.get(daemon.id)
    if (known?.of === daemon) return known.calls
    const { api, handlers, id } = daemon
    const admit = async (request: IncomingMessage) => {
      const person = await this.#people.get(request)!()
      return { caller: { name: person.name, via: 'dashboard' as const }, authorize: (called: Called) => checkLevel(person, called) }
    }
    const about = { daemon: id, pid: process.pid, operations: Object.keys(api) }
    const calls = answering({ ...this.#needs, api, handlers, record: recordOf(this.#needs, id) }, { about, admit })
    this.#answering.set(id, { of: daemon, calls })
    return calls
  }
}

type Called = { readonly operation: string; readonly privilege: string }

/** What somebody changes from the dashboard is written down before it is done; without that it is not done. What they only look at is not. */
function recordOf({ ledger }: DaemonsNeeds, daemon: string): CallRecord {
  return {
    async begin({ name }, { operation, privilege }) {
      if (privilege === 'observe') return async () => {}
      const { seq } = await ledger.append({ event: 'dashboard.begin', principal: name, daemon, operation })
      return async (outcome) => {
        await ledger.conclude({ event: 'dashboard.end', begin: seq, outcome }).catch(() => {}) // the ledger has said what is wrong with it
      }
    },
    refused() {}, // told by who asked
  }
}
