// The caching proxy as a whole: opened from its folders and settings, served at a UNIX socket and, if asked for, at a port of this machine.
import { dirname } from 'node:path'
import type { Handlers } from '../base/control/api.ts'
import { openControl } from '../base/control/server.ts'
import { createHttpClient } from '../base/http/client.ts'
import { isLoopback } from '../base/http/host.ts'
import { closeServer, createHttpServer, openListener } from '../base/http/listener.ts'
import type { Identity } from '../base/identity/identity.ts'
import { createWallet, loadWallet } from '../base/identity/wallet.ts'
import { lockFolder } from '../base/store/lock.ts'
import { listenUnix } from '../base/wire/unix.ts'
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { makeFolder, readText, removeFile, statOf, writeWhole } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { randomBytes } from '../kernel/random.ts'
import type { Secret } from '../kernel/secret.ts'
import { type Told, shareApi } from './api.ts'
import { type CacheSettings, createCache } from './cache.ts'
import { type Stats, statsOf, sumsOf } from './counts.ts'
import { type Api, createDoor } from './door.ts'
import { type Group, aloneGroup, groupOf } from './entry/group.ts'
import { fault } from './faults.ts'
import { type Others, meet } from './others.ts'
import { hidden } from './request/request.ts'
import { sampleOf } from './samples.ts'
import { openShelf } from './shelf.ts'
import { askApi } from './upstream.ts'
import type { Places } from './places.ts'
import { type Values, createValues } from './values.ts'

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

export interface Proxy extends AsyncDisposable {
  /** How the first try to join the group ended: undefined when it went well, or there is none. */
  readonly joined: Promise<Error | undefined>
  readonly url: string | undefined
  /** Of its identity. */
  readonly peerId: string
  stats(): Stats
  readonly values: Values
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
  const scope = scopeId(group, settings)
  const met = others && (await meet({ clock, log, group, shelf, scope }, others, { own: identity.peerId, stack }))
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
  const who = { p2p_enabled: met !== undefined, peer_id: identity.peerId }
  const stats = (): Stats => {
    const counted = shelf.counts
    const group = met?.sum && { group: { ...sumsOf(met.sum.with(counted)), members: met.sum.members } }
    return statsOf(counted, shelf, { ...who, ...group, connected_peers: met?.cluster.connected.length ?? 0 })
  }
  const told = (): Told => ({
    role: others?.is ?? 'alone',
    peer_id: identity.peerId,
    scope,
    addresses: [...(met?.addresses() ?? [])],
    connected: [...(met?.cluster.connected ?? [])],
  })
  const values = createValues({ clock, log, shelf, group, identity, cluster: met?.cluster })
  const handlers: Handlers<typeof shareApi> = {
    stats: async () => stats(),
    group: async () => told(),
    value: async ({ name }) => ({ value: await values.get(name) }),
    put: async ({ name, value, ttlMs }) => (await values.put(name, value, ttlMs), {}),
    invalidate: async ({ name }) => (values.invalidate(name), {}),
    'show-history': async () => ({ samples: [...shelf.samples(), sampleOf(stats(), clock.now())] }),
  }
  stack.use(await openControl({ clock, log, api: shareApi, handlers }, { daemon: 'cache', folder: places.control }))
  const opened = stack.move()
  return {
    url: listener?.url,
    peerId: identity.peerId,
    joined: met?.joined ?? Promise.resolve(undefined),
    stats,
    values,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

const graceMs = 1_000

/** Requests that are the same have the same key only where this is the same. */
function scopeId({ nameKey }: Group, { sharedScope, api }: ProxySettings): string {
  return hidden(nameKey, 'scope', JSON.stringify([sharedScope ?? null, api.url.host]))
}

function ownFolder(folder: string): Disposable {
  try {
    return lockFolder(folder)
  } catch (error) {
    throw asFault(error).code === 'store.locked' ? fault.running({ folder }) : error
  }
}

/** The identity in that wallet, made when there is none. Faults: those of the wallet. */
export async function ownIdentity(path: string): Promise<Identity> {
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
