// Issuers of tokens as the configuration names them, each with its keys: those in a file must be there at the start, those behind a URL may come later.
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { KeySet, type KeySource, keysAt, keysIn } from '../base/access/key-set.ts'
import type { HttpClient } from '../base/http/client.ts'
import { fault } from './faults.ts'
import type { CloudflareSettings, IssuerSettings } from './issuers.ts'
import type { GateConfig } from './upstream-kind.ts'

export type IssuerKit = {
  readonly clock: Clock
  readonly log: Log
  readonly client: HttpClient
  /** Those that there are, by whose they are and where: what a reload does not change goes on with the keys that it has. */
  readonly keySets: Map<string, KeySet>
  /** Relative paths are below the configuration's folder. */
  pathOf(path: string): string
}

/** Fault `gate.bad_keys`. */
export function issuersOf(kit: IssuerKit, config: GateConfig): Promise<readonly IssuerSettings[]> {
  const all = Object.entries(config.issuers).map(async ([name, one]) => ({
    name,
    issuer: one.issuer,
    audience: one.audience,
    algorithms: one.algorithms,
    keys: one.jwks_file === undefined ? keysBehind(kit, name, one.jwks_url!) : await keysOfFile(kit, name, one.jwks_file),
    claim: one.principal_claim,
    principals: new Map(Object.entries(one.principals)),
  }))
  return Promise.all(all)
}

export function cloudflareOf(kit: IssuerKit, { cloudflare_access: access }: GateConfig): CloudflareSettings | undefined {
  if (!access) return undefined
  return {
    team: access.team,
    audience: access.audience,
    keys: keysBehind(kit, 'Cloudflare Access', `${access.team}/cdn-cgi/access/certs`),
    principals: new Map(Object.entries(access.principals)),
    serviceTokens: new Map(Object.entries(access.service_tokens)),
  }
}

/** Asked for at once, so that the log tells early when they cannot be had; the gate starts in any case. */
function keysBehind(kit: IssuerKit, name: string, url: string): KeySet {
  const keys = keySet(kit, name, url, () => keysAt(kit.client, new URL(url)))
  keys.get().catch(() => {}) // the key set has logged it
  return keys
}

async function keysOfFile(kit: IssuerKit, name: string, path: string): Promise<KeySet> {
  const keys = keySet(kit, name, path, () => keysIn(kit.pathOf(path)))
  try {
    await keys.get()
  } catch (error) {
    throw fault.bad_keys({ place: `gate.issuers.${name}.jwks_file`, reason: (error as Error).message }, error)
  }
  return keys
}

function keySet({ clock, log, keySets }: IssuerKit, name: string, place: string, source: () => KeySource): KeySet {
  const key = `${name} ${place}`
  const present = keySets.get(key)
  if (present) return present
  const made = new KeySet({ clock, log, source: source() }, name)
  keySets.set(key, made)
  return made
}
