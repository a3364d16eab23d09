// Which daemons the dashboard reaches from here, and how somebody who is let in calls them.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answering, type CallRecord, answering } from '../../base/control/answering.ts'
import type { Operation } from '../../base/control/api.ts'
import type { Reachable, ReachableName } from '../../base/control/reachable.ts'
import type { Ledger } from '../../base/ledger/ledger.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { fault } from './faults.ts'
import type { Person } from './people.ts'

/** A port: those that there are now. */
export type Reach = () => Promise<readonly Reachable[]>

/** What there is is looked up so often at most. */
const freshMs = 2_000

export type DaemonsNeeds = { readonly clock: Clock; readonly log: Log; readonly ledger: Ledger; readonly reach: Reach }

/** Whether an operation only tells something. */
export function isLook({ privilege, tells }: Pick<Operation, 'privilege' | 'tells'>): boolean {
  return privilege === 'observe' || tells === true
}

/** Throws `dashboard.only_observes` where the operation changes something and the person may only look. */
export function checkLevel({ name: person, level }: Person, { operation, privilege }: { operation: string; privilege: string }): void {
  if (level !== 'change' && privilege !== 'observe') throw fault.only_observes({ person, operation })
}

/** Calls of daemons as they come in over HTTP: `POST /api/<id>/<operation>`. */
export class Daemons {
  readonly #needs: DaemonsNeeds
  /** By id and place. */
  readonly #answering = new Map<string, Answering>()
  #found: { readonly atMs: number; readonly all: Promise<readonly Reachable[]> } | undefined
  readonly #asked = new WeakMap<IncomingMessage, Asked>()

  constructor(needs: DaemonsNeeds) {
    this.#needs = needs
  }

  async list(): Promise<readonly ReachableName[]> {
    return (await this.#reach()).map(({ id, kind, name, where }) => ({ id, kind, name, where }))
  }

  /** Fault `dashboard.no_daemon`. */
  async named(id: string): Promise<Reachable> {
    const found = (await this.#reach()).find((one) => one.id === id)
    if (!found) throw fault.no_daemon({ id })
    return found
  }

  /** Answers one call. */
  async answer(id: string, operation: string, asked: Asked, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const daemon = await this.named(id)
    this.#asked.set(request, asked)
    request.url = `/v1/${operation}`
    this.#callsOf(daemon).take(request, response)
  }

  close(): void {
    for (const calls of this.#answering.values()) calls.stop()
  }

  #reach(): Promise<readonly Reachable[]> {
    const nowMs = this.#needs.clock.mono()
    if (!this.#found || nowMs - this.#found.atMs > freshMs)
      this.#found = { atMs: nowMs, all: this.#needs.reach().then((all) => all.map(withoutAdministering)) }
    return this.#found.all
  }

  #callsOf(daemon: Reachable): Answering {
    const { api, handlers, id, where } = daemon
    const key = `${id} ${where}`
    const known = this.#answering.get(key)
    if (known) return known
    const admit = async (request: IncomingMessage) => {
      const person = await this.#asked.get(request)!.who()
      return { caller: { name: person.name, via: 'dashboard' as const }, authorize: (called: Called) => checkLevel(person, called) }
    }
    const about = { daemon: id, pid: process.pid, operations: Object.keys(api) }
    const record = recordOf(this.#needs, daemon, (request, reason) => this.#asked.get(request)!.refused(reason, 403))
    const calls = answering({ ...this.#needs, api, handlers, record }, { about, admit })
    this.#answering.set(key, calls)
    return calls
  }
}

/** Who may do which is decided on the machine, never from here: a browser that was taken over would hand out credentials that outlive it. */
function withoutAdministering(daemon: Reachable): Reachable {
  return { ...daemon, api: Object.fromEntries(Object.entries(daemon.api).filter(([, { privilege }]) => privilege !== 'administer')) }
}

/** `who` is asked again while a stream goes on; `refused` writes down what they may not do. */
type Asked = { readonly who: () => Promise<Person>; readonly refused: (reason: string, status: number) => void }

type Called = { readonly operation: string; readonly privilege: string }

/** What somebody changes from the dashboard is written down before it is done; without that it is not done. What they only look at is not; what they may not do is told at the gate's door. */
function recordOf(
  { ledger }: DaemonsNeeds,
  { id, api }: Reachable,
  refused: (request: IncomingMessage, reason: string) => void,
): CallRecord {
  return {
    async begin({ name }, { operation }) {
      if (isLook(api[operation]!)) return async () => {}
      const { seq } = await ledger.append({ event: 'dashboard.begin', principal: name, daemon: id, operation })
      return async (outcome) => {
        await ledger.conclude({ event: 'dashboard.end', begin: seq, outcome }).catch(() => {}) // the ledger has said what is wrong with it
      }
    },
    refused(request, caller, code) {
      if (code === 'dashboard.only_observes') refused(request, `${caller!.name} may only look: ${id}${request.url!.slice('/v1'.length)}`)
    },
  }
}
