// The connection to a NATS cluster: it finds its way back by itself, and whoever waits for it waits a bounded time.
import { type PeerCertificate, checkServerIdentity } from 'node:tls'
import { type ConnectionOptions, type NatsConnection, connect, nkeyAuthenticator } from '@nats-io/transport-node'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Secret } from '../../kernel/secret.ts'
import { hostOf } from '../http/host.ts'
import { fault } from './faults.ts'

export type NatsSettings = {
  /** `nats://HOST:PORT`; these alone are dialled, whatever others a server tells of. */
  readonly servers: readonly string[]
  /** The seed of the nkey that proves who we are. */
  readonly seed?: Secret
  /** Texts in PEM. When it is there, nothing is said before the server has proved itself. */
  readonly tls?: { readonly ca?: string; readonly certificate?: string; readonly key?: Secret }
}

export type NatsNeeds = { readonly clock: Clock; readonly log: Log }

export interface Nats {
  readonly connection: NatsConnection
  /** Aborted when the present connection is lost; the next one has another. */
  readonly lost: AbortSignal
  /** Resolves at once while there is a connection, else when it is back; fault `kv.unavailable` after `patienceMs`. */
  connected(patienceMs: number): Promise<void>
  close(): Promise<void>
}

const dialMs = 2_000
const redialMs = 250
/** A server that hangs without closing is given up after three of them. */
const pingMs = 2_000

/** Connects to the first server that answers; fault `kv.unavailable` when none does. Later losses mend themselves. */
export async function connectNats({ clock, log }: NatsNeeds, settings: NatsSettings): Promise<Nats> {
  const servers = settings.servers.join(', ')
  const connection = await connect(optionsOf(settings)).catch((error: unknown) => {
    throw fault.unavailable({ reason: `none of ${servers} takes us in (${reasonOf(error)})` }, error)
  })
  let loss = new AbortController()
  let back: PromiseWithResolvers<void> | undefined
  const follow = async (): Promise<void> => {
    for await (const { type, ...details } of connection.status()) {
      if (type === 'disconnect' && !back) {
        back = Promise.withResolvers()
        loss.abort(fault.unavailable({ reason: 'the connection broke before the answer' }))
        log.warn('cluster.lost', details)
      } else if (type === 'reconnect' && back) {
        loss = new AbortController()
        back.resolve()
        back = undefined
        log.info('cluster.back', details)
      }
    }
  }
  const following = follow()
  return {
    connection,
    get lost() {
      return loss.signal
    },
    async connected(patienceMs) {
      if (!back) return
      const late = deadline(clock, patienceMs)
      const tooLate = (): Error => fault.unavailable({ reason: `none of ${servers} can be reached` })
      await before(late, back.promise, tooLate)
    },
    async close() {
      await connection.close()
      await following
    },
  }
}

function optionsOf({ servers, seed, tls }: NatsSettings): ConnectionOptions {
  return {
    servers: [...servers],
    name: 'fairlead',
    timeout: dialMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: redialMs,
    pingInterval: pingMs,
    ignoreClusterUpdates: true,
    ignoreAuthErrorAbort: true,
    ...(seed ? { authenticator: nkeyAuthenticator(Buffer.from(seed.reveal())) } : {}),
    ...(tls ? { tls: tlsOf(servers, tls) } : {}),
  }
}

/** By an address without a name, the library would have the certificate be for `localhost`: it has to be for one of the servers that are named. */
function tlsOf(servers: readonly string[], { ca, certificate, key }: NonNullable<NatsSettings['tls']>) {
  const hosts = servers.map(hostOf)
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key: key.reveal() }),
    checkServerIdentity(_: string, shown: PeerCertificate): Error | undefined {
      const problems = hosts.map((host) => checkServerIdentity(host, shown))
      return problems.includes(undefined) ? undefined : problems[0]
    },
  }
}

/** What `work` comes to, unless `signal` is aborted first: then what `reason` says, or else the signal's own. */
export async function before<Result>(signal: AbortSignal, work: Promise<Result>, reason?: () => unknown): Promise<Result> {
  const end = Promise.withResolvers<never>()
  const stop = (): void => end.reject(reason ? reason() : signal.reason)
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([work, end.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
