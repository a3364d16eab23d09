// What the doctor looks at: the variables, the proxy or host that runs here, and the hosts that it should reach. Nothing is changed by it.
import type { Duplex } from 'node:stream'
import { type Answer, type Check, bad } from '../base/checks/check.ts'
import type { Context } from '../base/terminal/command.ts'
import type { Clock } from '../kernel/clock.ts'
import { asFault, reasonOf } from '../kernel/fault.ts'
import type { Told } from './api.ts'
import { shareCalls } from './client.ts'
import type { Way } from './cluster/cluster.ts'
import { openLink } from './cluster/link.ts'
import { groupOf } from './entry/group.ts'
import { bootstrapPeers, dialAs, secretIn } from './group-peers.ts'
import { type Places, placesIn } from './places.ts'
import { ownIdentity } from './proxy.ts'

/** One file per check in `checks/`. */
export type ShareCheck = Check<Examination>

/** What a host says of itself once it has let us in. */
export type Greeting = { readonly aheadMs: number; readonly scope: string; readonly tookMs: number }

export interface Examination {
  readonly env: Context['env']
  readonly clock: Clock
  /** Addresses that were found bad: nothing more is asked of them. */
  readonly missed: Set<string>
  readonly calls: ReturnType<typeof shareCalls>
  /** Fault `share.peers_invalid`. */
  bootstrap(): readonly Way[]
  /** What runs here; undefined when nothing does. */
  told(): Promise<Told | undefined>
  /** Whose key was proved at the address. */
  dial(way: Way): Promise<Duplex>
  /** Rejects as `openLink` does. */
  greet(way: Way): Promise<Greeting>
}

export function createExamination(context: Context): Examination & AsyncDisposable {
  const { env, folders, clock, signal } = context
  const places = placesIn(folders)
  const calls = shareCalls(places)
  const streams = new Map<string, Promise<Duplex>>()
  const greetings = new Map<string, Promise<Greeting>>()
  const dial = (way: Way): Promise<Duplex> => once(streams, way.address, () => dialFrom(context, places, way))
  const greet = async (way: Way): Promise<Greeting> => {
    const group = await groupOf(secretIn(env).secret, env['IPFS_ACCELERATE_GITHUB_REPO'] ?? '')
    const { peerId } = await ownIdentity(places.wallet)
    const stream = await dial(way)
    const since = clock.mono()
    const greeted = Promise.withResolvers<Greeting>()
    greeted.promise.catch(() => {})
    const link = await openLink(
      {
        clock,
        group,
        dial: async () => stream,
        kept: () => undefined,
        onEnd: () => greeted.reject(new Error('the host ended the stream')),
        onMessage({ message }) {
          if (message.is !== 'about') return
          greeted.resolve({ aheadMs: Math.round(clock.now() - message.atMs), scope: message.scope, tookMs: clock.mono() - since })
        },
      },
      { way, own: peerId },
      signal,
    )
    try {
      return await greeted.promise
    } finally {
      void link.close()
    }
  }
  let told: Promise<Told | undefined> | undefined
  return {
    env,
    clock,
    missed: new Set(),
    calls,
    bootstrap: () => bootstrapPeers(env),
    told: () =>
      (told ??= calls.group({}).catch((error: unknown) => {
        if (asFault(error).code !== 'control.unreachable') throw error
        return undefined
      })),
    dial,
    greet: (way) => once(greetings, way.address, () => greet(way)),
    async [Symbol.asyncDispose]() {
      for (const stream of streams.values())
        await stream.then(
          (opened) => opened.destroy(),
          () => {},
        )
    },
  }
}

async function dialFrom(context: Context, { wallet, identity }: Places, way: Way): Promise<Duplex> {
  await ownIdentity(wallet)
  const stream = await dialAs(context, identity)(way, context.signal)
  stream.on('error', () => {})
  return stream
}

function once<T>(made: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const promise = made.get(key) ?? make()
  promise.catch(() => {})
  made.set(key, promise)
  return promise
}

/** Asks the same about every host that was not found bad before. A rejection is bad, and `remedy` mends it. */
export function ofEachHost(
  { bootstrap, missed }: Examination,
  ask: (way: Way) => Promise<Answer>,
  remedy?: string,
): Promise<readonly Answer[]> {
  const ways = bootstrap().filter(({ address }) => !missed.has(address))
  return Promise.all(
    ways.map(async (way) => {
      const answer = await ask(way).catch((error: unknown) => bad(reasonOf(error), remedy))
      if (answer.verdict === 'bad') missed.add(way.address)
      return { ...answer, about: way.address }
    }),
  )
}

/** Where a way leads, if it says so plainly: `/ip4/ADDRESS/tcp/PORT/…`, or a name. */
export function placeOf({ address }: Way): { readonly host: string; readonly port: number } | undefined {
  const [, host, port] = /^\/(?:ip[46]|dns[46]?)\/([^/]+)\/tcp\/(\d{1,5})\/p2p\/[^/]+$/.exec(address) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
