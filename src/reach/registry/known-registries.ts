// The registries that this machine has met: which one comes first when none is named, and the key that each had when it was first met.
import { isIP } from 'node:net'
import { dirname } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import type { WebTarget } from '../../base/peer/address.ts'
import { fault } from '../faults.ts'

export const defaultRegistryPort = 8765
const maxKnown = 256

/** A registry's place: `host` without brackets; `over` when it is a WebSocket. */
export type Server = { readonly host: string; readonly port: number; readonly over?: 'ws' | 'wss' }

const webPorts = { ws: 80, wss: 443 } as const

/** Reads `HOST[:PORT]`, or `wss://HOST[:PORT]` and `ws://…` of a WebSocket; an IPv6 address with a port stands in brackets. Fault `reach.server_invalid`. */
export function parseServer(text: string): Server {
  if (isIP(text) === 6) return { host: text, port: defaultRegistryPort }
  const match = /^(?:(wss?):\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?\/?$/.exec(text)
  const over = match?.[1] as Server['over']
  const host = match?.[2] ?? match?.[3]
  const port = match?.[4] === undefined ? (over ? webPorts[over] : defaultRegistryPort) : Number(match[4])
  const isHost = host !== undefined && (match?.[2] === undefined || isIP(host) === 6)
  if (!isHost || port < 1 || port > 65_535 || (!over && text.endsWith('/'))) throw fault.server_invalid({ server: text })
  return over ? { host, port, over } : { host, port }
}

/** `host:port`, or `wss://host`, as it is remembered and shown. */
export function serverText({ host, port, over }: Server): string {
  const name = host.includes(':') ? `[${host}]` : host
  if (!over) return `${name}:${port}`
  return `${over}://${name}${port === webPorts[over] ? '' : `:${port}`}`
}

/** The multiaddr of the server, without a peer id. */
export function serverAddress({ host, port, over }: Server): string {
  const kind = { 0: 'dns', 4: 'ip4', 6: 'ip6' }[isIP(host)]!
  return `/${kind}/${host}/tcp/${port}${over ? `/${over}` : ''}`
}

/** Where the server's WebSocket is asked for, if it is one. */
export function serverTarget({ host, port, over }: Server): WebTarget | undefined {
  return over && { host, port, isTls: over === 'wss' }
}

type Known = { last?: string; keys: Record<string, string> }

export interface KnownRegistries {
  /** The file, for messages. */
  readonly path: string
  /** The one that was named, else the last one registered with, else `localhost:8765`. */
  choose(named: string | undefined): Server
  /** The last one registered with. */
  last(): Server | undefined
  /** The peer id that the registry had when it was first met. */
  keyOf(server: Server): string | undefined
  /** Pins the key; a key that is pinned already stays. */
  pin(server: Server, peerId: string): void
  remember(server: Server): void
  count(): number
}

/** The registries remembered in the file at `path`: it is read at each question, since other processes write it too. */
export function knownRegistries(path: string): KnownRegistries {
  const read = (): Known => parse(readText(path))
  const change = (edit: (known: Known) => void): void => {
    const known = read()
    const before = JSON.stringify(known)
    edit(known)
    if (JSON.stringify(known) === before) return
    makeFolder(dirname(path))
    writeWhole(path, `${JSON.stringify(known, undefined, 2)}\n`)
  }
  const last = (): Server | undefined => {
    const text = read().last
    return text === undefined ? undefined : parseServer(text)
  }
  return {
    path,
    last,
    choose: (named) => (named === undefined ? (last() ?? parseServer('localhost')) : parseServer(named)),
    keyOf: (server) => read().keys[serverText(server)],
    pin: (server, peerId) =>
      change(({ keys }) => {
        if (Object.keys(keys).length >= maxKnown) delete keys[Object.keys(keys)[0]!]
        keys[serverText(server)] ??= peerId
      }),
    count: () => Object.keys(read().keys).length,
    remember: (server) =>
      change((known) => {
        known.last = serverText(server)
      }),
  }
}

/** A file that cannot be understood must not turn into "no key is pinned": it is a fault, and its owner decides. */
function parse(text: string | undefined): Known {
  if (text === undefined) return { keys: {} }
  let known: Partial<Known> | null
  try {
    known = JSON.parse(text) as Partial<Known> | null
  } catch {
    throw fault.registries_damaged({})
  }
  const isText = (value: unknown): boolean => typeof value === 'string'
  const keys = known?.keys
  if (typeof keys !== 'object' || keys === null || !Object.values(keys).every(isText) || !(known?.last === undefined || isText(known.last)))
    throw fault.registries_damaged({})
  return { ...(known!.last === undefined ? {} : { last: known!.last }), keys: { ...keys } }
}
