// Which HTTP proxy a connection has to go through, as the variables of the environment say that most programs follow: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.
import { BlockList, isIP } from 'node:net'
import { Secret } from '../../kernel/secret.ts'
import type { WebTarget } from './address.ts'
import { fault } from './fault.ts'

export type Proxy = {
  /** `host:port`, for messages: never the password. */
  readonly name: string
  /** The variable that names it. */
  readonly variable: string
  readonly host: string
  readonly port: number
  /** Whether the proxy itself is spoken to over TLS. */
  readonly isTls: boolean
  /** The value of `Proxy-Authorization`. */
  readonly authorization: Secret | undefined
}

/** The proxy on the way to the target, if there is one. Fault `peer.proxy_invalid` when the variable cannot be understood. */
export type ProxyFor = (target: WebTarget) => Proxy | undefined

/** Of this machine: connections leave as they are. */
export const noProxy: ProxyFor = () => undefined

/**
 * Follows the environment as curl does: `HTTPS_PROXY` for TLS and `HTTP_PROXY` for the rest, each in small letters first; `NO_PROXY` lists hosts, domains,
 * `host:port`, addresses and networks (`10.0.0.0/8`) that are reached without one, `*` all of them. This machine itself is never asked for through a proxy.
 */
export function proxiesOf(env: Readonly<Record<string, string | undefined>>): ProxyFor {
  const named = (variable: string): readonly [string, string] | undefined => {
    const name = env[variable.toLowerCase()] ? variable.toLowerCase() : variable
    return env[name] ? [name, env[name]] : undefined
  }
  const exceptions = (named('NO_PROXY')?.[1] ?? '').split(/[\s,]+/).filter((each) => each !== '')
  return (target) => {
    const found = named(target.isTls ? 'HTTPS_PROXY' : 'HTTP_PROXY')
    if (!found || isThisMachine(target.host) || exceptions.some((each) => covers(each, target))) return undefined
    return proxyOf(...found)
  }
}

function proxyOf(variable: string, value: string): Proxy {
  const url = URL.parse(value.includes('://') ? value : `http://${value}`)
  if (!url?.hostname) throw fault.proxy_invalid({ variable, problem: 'it is no address' })
  const { protocol, username, password } = url
  if (protocol !== 'http:' && protocol !== 'https:') throw fault.proxy_invalid({ variable, problem: `it is one of ${protocol}//` })
  const isTls = protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
  return { name: `${url.hostname}:${port}`, variable, host, port, isTls, authorization: authorizationOf(variable, username, password) }
}

function authorizationOf(variable: string, username: string, password: string): Secret | undefined {
  if (username === '') return undefined
  try {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    return new Secret(`Basic ${Buffer.from(credentials).toString('base64')}`)
  } catch {
    throw fault.proxy_invalid({ variable, problem: 'a % in its name or password stands before something else than two hexadecimal digits' })
  }
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Whether an entry of NO_PROXY is about the target. */
function covers(entry: string, { host, port }: WebTarget): boolean {
  if (entry === '*') return true
  const network = /^([0-9a-fA-F:.]+)\/(\d{1,3})$/.exec(entry)
  if (network) return isInNetwork(host, network[1]!, Number(network[2]))
  const [, name = entry, only] = isIP(entry) === 6 ? [] : (/^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(entry) ?? [])
  if (only !== undefined && Number(only) !== port) return false
  const domain = name.replace(/^\*?\./, '').toLowerCase()
  const wanted = host.toLowerCase()
  return domain !== '' && (wanted === domain || (isIP(wanted) === 0 && wanted.endsWith(`.${domain}`)))
}

function isInNetwork(host: string, network: string, bits: number): boolean {
  const version = isIP(network)
  if (version === 0 || isIP(host) !== version || bits > (version === 4 ? 32 : 128)) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(network, bits, family)
  return list.check(host, family)
}
