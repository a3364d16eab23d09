// What a gate refuses to start with: a way in for everybody, and names or credentials that mean nothing or two things.
import { hostOf, isLoopback } from '../base/http/host.ts'
import { fault } from './faults.ts'
import type { GateSettings } from './settings.ts'

/** Faults `gate.open_door`, `.open_metrics`, `.no_way_in`, `.no_public_url`, `.unknown_principal`, `.unknown_upstream`, `.connector_is_principal`, `.same_credential`, `.same_issuer`. */
export function checkSettings(settings: GateSettings): void {
  checkDoors(settings)
  checkNames(settings)
  checkCredentials(settings)
}

function checkDoors({ host, port, door, publicUrl, credentials, issuers, cloudflare, metricsFor }: GateSettings): void {
  const listen = `${host}:${port}`
  if (door !== undefined) {
    if (!isLoopback(host)) throw fault.open_door({ way: `gate.listen is ${listen}` })
    if (cloudflare) throw fault.open_door({ way: 'there is gate.cloudflare_access' })
    if (metricsFor?.has(door)) throw fault.open_metrics({ name: door })
    if (publicUrl !== undefined && !isLoopback(hostOf(publicUrl))) throw fault.open_door({ way: `gate.public_url is ${publicUrl}` })
  }
  if (isLoopback(host)) return
  const isProvable = credentials.some((one) => one.tokenHashes.length + one.peers.length > 0) || issuers.length > 0 || cloudflare
  if (!isProvable) throw fault.no_way_in({ listen })
  if (issuers.length > 0 && publicUrl === undefined) throw fault.no_public_url({ listen })
}

function checkNames(settings: GateSettings): void {
  const { door, local, credentials, issuers, cloudflare, sockets } = settings
  const names = new Set(credentials.map(({ name }) => name))
  for (const { connector } of settings.connectors.connectors) {
    if (names.has(connector.id)) throw fault.connector_is_principal({ name: connector.id })
    names.add(connector.id)
  }
  const named = (all: Iterable<string>, place: string): void => {
    for (const name of all) if (!names.has(name)) throw fault.unknown_principal({ name, place })
  }
  if (door !== undefined) named([door], 'gate.door')
  if (local !== undefined) named([local], 'gate.local')
  for (const { name, principals } of issuers) named(principals.values(), `gate.issuers.${name}.principals`)
  if (cloudflare) {
    named(cloudflare.principals.values(), 'gate.cloudflare_access.principals')
    named(cloudflare.serviceTokens.values(), 'gate.cloudflare_access.service_tokens')
  }
  for (const { path, principal } of sockets) named([principal], `the socket ${path}`)
  checkPatterns(settings, named)
}

/** What rules and limits name is there; a pattern may fit nobody. */
function checkPatterns(
  { rules, callLimits = [], upstreams, takesOffers }: GateSettings,
  named: (principals: readonly string[], place: string) => void,
): void {
  const known = new Set(upstreams.map(({ name }) => name))
  const isName = (pattern: string): boolean => !pattern.includes('*')
  for (const [list, all] of Object.entries({ rules, limits: callLimits }))
    for (const [index, one] of all.entries()) {
      const place = `gate.${list}[${index}]`
      named(one.principals.filter(isName), place)
      if (takesOffers) continue
      const unknown = one.upstreams.filter(isName).find((name) => !known.has(name))
      if (unknown !== undefined) throw fault.unknown_upstream({ name: unknown, place })
    }
}

function checkCredentials({ credentials, issuers, sockets }: GateSettings): void {
  const holders = new Map<string, string>()
  const hold = (credential: string, name: string): void => {
    const other = holders.get(credential)
    if (other !== undefined) throw fault.same_credential({ first: other, second: name })
    holders.set(credential, name)
  }
  for (const { name, tokenHashes, peers } of credentials) for (const one of new Set([...tokenHashes, ...peers])) hold(one, name)
  for (const { path, principal } of sockets) hold(path, principal)
  const byIssuer = new Map<string, string>()
  for (const { name, issuer } of issuers) {
    const other = byIssuer.get(issuer)
    if (other !== undefined) throw fault.same_issuer({ first: other, second: name, issuer })
    byIssuer.set(issuer, name)
  }
}
