// The cache as a library: through the process of this machine that has it open, or opened here when there is none.
import type { Context } from '../base/terminal/command.ts'
import { asFault } from '../kernel/fault.ts'
import { shareCalls } from './client.ts'
import type { GlobalCache, GlobalCacheStats } from './global-cache-api.ts'
import { bootstrapPeers, groupSecret, memberOf } from './group-peers.ts'
import { openOwnCache } from './own-cache.ts'
import { placesIn } from './places.ts'
import { type Proxy, openProxy } from './proxy.ts'
import { secondsMs, settingsOf, usualFlags } from './settings.ts'
import type { Values } from './values.ts'

export type GlobalCacheNeeds = Pick<Context, 'env' | 'folders' | 'clock' | 'log' | 'terminal' | 'peers'>

/** What serves the calls: somebody else's process, or a proxy in this one. */
type Reached = {
  readonly values: { readonly [Name in keyof Values]: (...args: Parameters<Values[Name]>) => Promise<Awaited<ReturnType<Values[Name]>>> }
  stats(): Promise<GlobalCacheStats>
  close(): Promise<void>
}

const againMs = 100
const maxTries = 50

/** Nothing is opened before the first call. Faults of that: those of `openProxy`, `share.ttl_invalid`, `share.peers_invalid`, `share.no_secret`. */
export function createGlobalCache(needs: GlobalCacheNeeds, onShutdown: () => void): GlobalCache {
  const places = placesIn(needs.folders)
  const settings = settingsOf(needs, usualFlags)
  let reached: Promise<Reached> | undefined
  const reach = (): Promise<Reached> => {
    const reaching = (reached ??= attachOrOpen())
    reaching.catch(() => forgetReached(reaching))
    return reaching
  }
  const forgetReached = (gone: Promise<Reached>): void => {
    if (reached === gone) reached = undefined
  }
  /** Who has it open already may just be about to be talked to; or it is a `share gh`, which nobody talks to. */
  const attachOrOpen = async (): Promise<Reached> => {
    for (let left = maxTries; ; left--) {
      try {
        return await attach()
      } catch (error) {
        if (asFault(error).code !== 'control.unreachable') throw error
      }
      try {
        if (left === 0) return here(await openOwnCache(places, (at) => openHere(needs, at, settings)))
        return here(await openHere(needs, places, settings))
      } catch (error) {
        if (left === 0 || !['share.running', 'socket.busy'].includes(asFault(error).code)) throw error
      }
      await new Promise<void>((resolve) => needs.clock.after(againMs, resolve))
    }
  }
  const attach = async (): Promise<Reached> => {
    const calls = shareCalls(places)
    await calls.stats({})
    return {
      values: {
        get: async (name) => (await calls.value({ name })).value,
        put: async (name, value, ttlMs) => void (await calls.put({ name, value, ttlMs })),
        invalidate: async (name) => void (await calls.invalidate({ name })),
      },
      stats: () => calls.stats({}),
      close: async () => {},
    }
  }
  /** Once more where the process that had the cache is gone: each call may be done twice. */
  const ask = async <T>(act: (by: Reached) => Promise<T>): Promise<T> => {
    const used = reach()
    try {
      return await act(await used)
    } catch (error) {
      if (!isGone(error)) throw error
      forgetReached(used)
      return act(await reach())
    }
  }
  return {
    get: (name) => ask(({ values }) => values.get(name)),
    put: (name, value, { ttlSeconds } = {}) => {
      const ttlMs = ttlSeconds === undefined ? settings.defaultTtlMs : secondsMs('ttlSeconds', String(ttlSeconds))
      return ask(({ values }) => values.put(name, value, ttlMs))
    },
    invalidate: (name) => ask(({ values }) => values.invalidate(name)),
    getStats: () => ask(({ stats }) => stats()),
    async shutdown() {
      onShutdown()
      const open = reached
      reached = undefined
      const by = await open?.catch(() => undefined) // what did not open needs no closing
      await by?.close()
    },
  }
}

function isGone(error: unknown): boolean {
  const { code } = asFault(error)
  return code === 'control.unreachable' || code === 'control.answer_cut'
}

function here(proxy: Proxy): Reached {
  const { values } = proxy
  return {
    values: { get: values.get, put: values.put, invalidate: async (name) => values.invalidate(name) },
    stats: async () => proxy.stats(),
    close: async () => proxy[Symbol.asyncDispose](),
  }
}

/** As `fairlead share proxy` does with these variables. */
async function openHere(
  needs: GlobalCacheNeeds,
  places: ReturnType<typeof placesIn>,
  settings: ReturnType<typeof settingsOf>,
): Promise<Proxy> {
  const { clock, log, env } = needs
  const bootstrap = bootstrapPeers(env)
  if (bootstrap.length === 0) return openProxy({ clock, log }, places, settings)
  const others = memberOf(needs, { bootstrap, identity: places.identity }, () => {})
  const proxy = await openProxy({ clock, log }, places, { ...settings, secret: groupSecret(needs) }, others)
  await proxy.joined // a first `get` is to know what the others know
  return proxy
}
