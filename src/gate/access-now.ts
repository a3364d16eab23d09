// Who may do what, as it is configured now: doors and layers hold on to this, and it changes inside.
import { type Policy, type Rule, createPolicy } from '../base/access/policy.ts'
import { type Credentials, type Directory, createDirectory } from '../base/access/principal.ts'
import type { SocketKind } from '../base/control/api.ts'
import type { Levels } from './dashboard/dashboard.ts'

type Names = Pick<ReadonlySet<string>, 'has'>
type Configured = {
  readonly credentials: readonly Credentials[]
  readonly rules: readonly Rule[]
  readonly metricsFor?: Names
  readonly dashboardFor?: ReadonlyMap<string, SocketKind>
}

export class Access {
  readonly policy: Policy
  readonly directory: Directory
  /** Who may read the metrics. */
  readonly metricsFor: Names
  /** Who may use the dashboard, and how. */
  readonly dashboardFor: Levels
  #policy: Policy
  #directory: Directory
  #metricsFor: Names | undefined
  #dashboardFor: ReadonlyMap<string, SocketKind> | undefined
  #names: ReadonlySet<string>
  /** Principals that were removed: who came in as one of them before may do nothing now, whatever a rule with `*` says. */
  readonly #gone = new Set<string>()
  #credentials: readonly Credentials[]

  constructor({ credentials, rules, metricsFor, dashboardFor }: Configured) {
    this.#credentials = credentials
    this.#policy = createPolicy(rules)
    this.#directory = createDirectory(credentials)
    this.#names = new Set(credentials.map(({ name }) => name))
    this.#metricsFor = metricsFor
    this.metricsFor = { has: (name) => this.#metricsFor?.has(name) ?? false }
    this.#dashboardFor = dashboardFor
    this.dashboardFor = { get: (name) => this.#dashboardFor?.get(name), names: () => [...(this.#dashboardFor?.keys() ?? [])] }
    const nothing = createPolicy([])
    this.policy = {
      permit: (principal, upstream) => (this.#gone.has(principal) ? nothing : this.#policy).permit(principal, upstream),
    }
    this.directory = {
      byTokenHash: (hash) => this.#directory.byTokenHash(hash),
      byPeer: (peerId) => this.#directory.byPeer(peerId),
    }
  }

  /** Who may come in, and what they prove it with. */
  get credentials(): readonly Credentials[] {
    return this.#credentials
  }

  /** Takes these in place of those it has; names the principals that are gone with them. */
  take({ credentials, rules, metricsFor, dashboardFor }: Configured): readonly string[] {
    const names = new Set(credentials.map(({ name }) => name))
    const gone = [...this.#names].filter((name) => !names.has(name))
    for (const name of gone) this.#gone.add(name)
    for (const name of names) this.#gone.delete(name)
    this.#names = names
    this.#metricsFor = metricsFor
    this.#credentials = credentials
    this.#dashboardFor = dashboardFor
    this.#policy = createPolicy(rules)
    this.#directory = createDirectory(credentials)
    return gone
  }
}
