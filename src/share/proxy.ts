// The caching proxy as a whole: opened from its folders and settings, served at a UNIX socket and, if asked for, at a port of this machine.
import { dirname } from 'node:path'
import type { Duplex } from 'node:stream'
import { openControl } from '../base/control/server.ts'
import { createHttpClient } from '../base/http/client.ts'
import { isLoopback } from '../base/http/host.ts'
import { closeServer, createHttpServer, openListener } from '../base/http/listener.ts'
import { createWallet, loadWallet } from '../base/identity/wallet.ts'
import { lockFolder } from '../base/store/lock.ts'
import { listenUnix } from '../base/wire/unix.ts'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { makeFolder, readText, removeFile, statOf, writeWhole } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { randomBytes } from '../kernel/random.ts'
import type { Secret } from '../kernel/secret.ts'
import { shareApi } from './api.ts'
import type { Cluster } from './cluster/cluster.ts'
import { type HostNeeds, createHost } from './cluster/host.ts'
import { createMembership } from './cluster/member.ts'
import { type CacheSettings, createCache } from './cache.ts'
import { type Stats, statsOf } from './counts.ts'
import { type Api, createDoor } from './door.ts'
import { type Group, aloneGroup, groupOf } from './entry/group.ts'
import { fault } from './faults.ts'
import { sampleOf } from './samples.ts'
import { openShelf } from './shelf.ts'
import { askApi } from './upstream.ts'
import type { Places } from './places.ts'

export type ProxySettings = CacheSettings & {
  readonly api: Api
  readonly maxBytes: number
  /** Absent: what is kept is sealed with a key of this machine. */
  readonly secret?: Secret | undefined
  /** The name of the group that shares the secret. */
  readonly group: string
  /** Of 127.0.0.1; 0 for any free one. Absent: there is the socket alone. */
  readonly port?: number | undefined
}

/** How this cache meets the others of its group: they come to it, or it goes to them. */
export type Others =
  | { readonly is: 'host'; serve(accept: (stream: Duplex, member: string) => void): Promise<AsyncDisposable> }
  | { readonly is: 'member'; dial(signal: AbortSignal): Promise<{ readonly stream: Duplex; readonly host: string }> }

export interface Proxy extends AsyncDisposable {
  /** How the first try to join the group ended: undefined when it went well, or there is none. */
  readonly joined: Promise<Error | undefined>
  readonly url: string | undefined
  stats(): Stats
}

const keySizeBytes = 32
const maxSocketPath = 107

/** Serves at `places.socket`, for its owner alone, until disposed of. Faults: `share.*`, those of the wallet, of the store and of sockets. */
export async function openProxy(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  places: Places,
  settings: ProxySettings,
  others?: Others,
): Promise<Proxy> {
  if (Buffer.byteLength(places.socket) > maxSocketPath) throw fault.socket_too_long({ path: places.socket })
  await using stack = new AsyncDisposableStack()
  stack.use(ownFolder(places.folder))
  const shelf = stack.adopt(openShelf({ clock, log }, { folder: places.folder, maxBytes: settings.maxBytes }), (opened) => opened.close())
  const client = stack.adopt(createHttpClient(), (opened) => opened.close())
  const identity = await ownIdentity(places.wallet)
  const group = settings.secret ? await groupOf(settings.secret, settings.group) : ownGroup(places.key)
  const met = others && (await meet({ clock, log, group, shelf }, others, identity.peerId, stack))
  const cache = createCache(
    { clock, log, shelf, group, identity, ask: (request) => askApi({ client, clock }, settings.api.url, request), cluster: met?.cluster },
    settings,
  )
  const handle = createDoor({ log, client, cache }, settings.api)
  makeFolder(dirname(places.socket))
  const server = createHttpServer({ ownHosts: 'any', handle })
  server.requestTimeout = 0 // an upload may take hours
  await listenUnix(server, places.socket)
  stack.defer(async () => {
    await closeServer(server, clock, graceMs)
    removeFile(places.socket)
  })
  const { port } = settings
  const listener = port === undefined ? undefined : await openListener({ clock, name: 'the cache', host: '127.0.0.1', port, handle })
  if (listener) stack.defer(() => listener.close(graceMs))
  const stats = (): Stats => ({ ...statsOf(shelf.counts, shelf), connected_peers: met?.cluster.connected.length ?? 0 })
  const handlers = {
    stats: async () => stats(),
    'list-members': async () => ({ role: others?.is ?? ('alone' as const), members: met?.cluster.connected ?? [] }),
    'show-history': async () => ({ samples: [...shelf.samples(), sampleOf(stats(), clock.now())] }),
  }
  stack.use(await openControl({ clock, log, api: shareApi, handlers }, { daemon: 'cache', folder: places.control }))
  const opened = stack.move()
  return {
    url: listener?.url,
    joined: met?.joined ?? Promise.resolve(undefined),
    stats,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

const graceMs = 1_000

type Met = { readonly cluster: Cluster; readonly joined: Promise<Error | undefined> }

async function meet(needs: HostNeeds, others: Others, own: string, stack: AsyncDisposableStack): Promise<Met> {
  if (others.is === 'member') {
    const dial = async (signal: AbortSignal) => {
      const { stream, host } = await others.dial(signal)
      return { stream, ends: { host, member: own } }
    }
    const cluster = stack.adopt(createMembership({ ...needs, dial }), (joined) => joined.close())
    return { cluster, joined: cluster.begun }
  }
  const cluster = stack.adopt(createHost(needs), (host) => host.close())
  stack.use(await others.serve((stream, member) => void cluster.accept(stream, { host: own, member })))
  return { cluster, joined: Promise.resolve(undefined) }
}

function ownFolder(folder: string): Disposable {
  try {
    return lockFolder(folder)
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.running({ folder }) : error
  }
}

async function ownIdentity(path: string) {
  const { identity } = statOf(path) ? await loadWallet(path) : await createWallet(path, { name: 'API cache' })
  return identity
}

function ownGroup(path: string): Group {
  const text = readText(path)
  if (text === undefined) {
    const key = randomBytes(keySizeBytes)
    writeWhole(path, `${Buffer.from(key).toString('base64url')}\n`)
    return aloneGroup(key)
  }
  const key = Buffer.from(text.trim(), 'base64url')
  if (key.length !== keySizeBytes) throw fault.key_damaged({ path })
  return aloneGroup(key)
}

/** The origin of an API. Credentials go there: over https, or to this machine. */
export function apiAt(text: string): URL {
  const invalid = (problem: string): Error => fault.api_invalid({ api: text, problem })
  if (!URL.canParse(text)) throw invalid('is no address')
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw fault.api_invalid({ api: url.host, problem: 'may not hold a user name or password' })
  if (url.origin !== text.replace(/\/$/, '').toLowerCase()) throw invalid('has more than a scheme and a host')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[|\]$/g, ''))))
    throw invalid('is not https, so that others could read the credentials')
  return url
}
