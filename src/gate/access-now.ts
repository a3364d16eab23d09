// Who may do what, as it is configured now: doors and layers hold on to this, and it changes inside.
import { type Policy, type Rule, createPolicy } from '../base/access/policy.ts'
import { type Credentials, type Directory, createDirectory } from '../base/access/principal.ts'

type Configured = { readonly credentials: readonly Credentials[]; readonly rules: readonly Rule[] }

export class Access {
  readonly policy: Policy
  readonly directory: Directory
  #policy: Policy
  #directory: Directory
  #names: ReadonlySet<string>
  /** Principals that were removed: who came in as one of them before may do nothing now, whatever a rule with `*` says. */
  readonly #gone = new Set<string>()

  constructor({ credentials, rules }: Configured) {
    this.#policy = createPolicy(rules)
    this.#directory = createDirectory(credentials)
    this.#names = new Set(credentials.map(({ name }) => name))
    const nothing = createPolicy([])
    this.policy = {
      permit: (principal, upstream) => (this.#gone.has(principal) ? nothing : this.#policy).permit(principal, upstream),
    }
    this.directory = {
      byToken: (token) => this.#directory.byToken(token),
      byPeer: (peerId) => this.#directory.byPeer(peerId),
    }
  }

  /** Takes these in place of those it has; names the principals that are gone with them. */
  take({ credentials, rules }: Configured): readonly string[] {
    const names = new Set(credentials.map(({ name }) => name))
    const gone = [...this.#names].filter((name) => !names.has(name))
    for (const name of gone) this.#gone.add(name)
    for (const name of names) this.#gone.delete(name)
    this.#names = names
    this.#policy = createPolicy(rules)
    this.#directory = createDirectory(credentials)
    return gone
  }
}
