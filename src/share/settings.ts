// What the commands that open a cache have in common: their flags, and what those and the environment come to.
import type { Context, Flag } from '../base/terminal/command.ts'
import { Secret } from '../kernel/secret.ts'
import { maxTtlMs } from './request/freshness.ts'
import { fault } from './faults.ts'
import { type ProxySettings, apiAt } from './proxy.ts'

const usualSizeMib = 256

export const cacheFlags = {
  api: { value: 'URL', summary: 'where the API is: https://api.github.com, or the one of GH_HOST, by default' },
  'shared-scope': {
    value: 'NAME',
    summary: 'all who have a credential form one scope of that name: what one of them may read, all may; else each credential is its own',
  },
  'max-size': { value: 'MIB', type: 'integer', default: usualSizeMib, summary: 'what is kept, in MiB; the least recently used goes first' },
  'stale-for': {
    value: 'SECONDS',
    type: 'integer',
    default: 0,
    summary: 'how long after its time an answer may be given, marked as stale, while the API cannot be asked',
  },
} as const satisfies Record<string, Flag>

type CacheFlags = {
  readonly api: string | undefined
  readonly 'shared-scope': string | undefined
  readonly 'max-size': number
  readonly 'stale-for': number
}

/** Of a cache that nobody gave any. */
export const usualFlags: CacheFlags = { api: undefined, 'shared-scope': undefined, 'max-size': usualSizeMib, 'stale-for': 0 }

const defaultTtlSeconds = '300'
const [leastMib, mostMib] = [8, 65_536]

/** Faults: `share.api_invalid`, `share.ttl_invalid`, `share.size_invalid`. */
export function settingsOf({ env }: Pick<Context, 'env'>, flags: CacheFlags): Omit<ProxySettings, 'port'> {
  const size = flags['max-size']
  if (size < leastMib || size > mostMib) throw fault.size_invalid({ size })
  const secret = env['CACHE_P2P_SHARED_SECRET']
  const name = !env['GH_HOST'] || env['GH_HOST'] === 'github.com' ? 'api.github.com' : env['GH_HOST'].toLowerCase()
  return {
    api: { url: apiAt(flags.api ?? `https://${name}`), names: [name] },
    maxBytes: size * (1 << 20),
    sharedScope: flags['shared-scope'],
    staleMs: secondsMs('--stale-for', String(flags['stale-for'])),
    defaultTtlMs: secondsMs('CACHE_DEFAULT_TTL', env['CACHE_DEFAULT_TTL'] || defaultTtlSeconds),
    secret: secret ? new Secret(secret) : undefined,
    group: env['IPFS_ACCELERATE_GITHUB_REPO'] ?? '',
  }
}

/** Of a time that is named so, in seconds from 0 to 86400; fault `share.ttl_invalid`. */
export function secondsMs(name: string, value: string): number {
  const ms = /^\d{1,6}$/.test(value) ? Number(value) * 1_000 : Number.NaN
  if (!(ms <= maxTtlMs)) throw fault.ttl_invalid({ name, value })
  return ms
}
