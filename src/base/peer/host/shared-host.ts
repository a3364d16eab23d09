// One host for each identity, shared by all processes of its owner: the first that listens becomes it, the others attach, and when it dies one of them takes
// its place, at its addresses. What is built on it sees a PeerHost whose streams broke, no more.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Fault, asFault } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Identity } from '../../identity/identity.ts'
import { type FolderLock, lockFolder } from '../../store/lock.ts'
import { kindOf } from '../address.ts'
import { attachHost } from './attached.ts'
import { orAborted } from '../dial.ts'
import { fault } from '../fault.ts'
import { type OwnHost, type PeerHost, type PeerStream, createPeerHost } from './host.ts'
import { type ProxyFor, noProxy } from '../proxy.ts'
import { serveHost } from './server.ts'

export type SharedHostNeeds = {
  /** Unlocks the identity: asked only when a host must run in this process. */
  readonly identity: () => Promise<Identity>
  /** Who that will be. */
  readonly peerId: string
  readonly clock: Clock
  readonly log: Log
  /** As in `createPeerHost`. */
  readonly proxyFor?: ProxyFor
  /** Whether a stream of a protocol that we serve is for us, when several processes serve it. Absent: every one. */
  readonly wants?: (peerId: string, protocol: string) => boolean
  /** Goes on as long as this process is the host; told of what it and the attached processes ask for. */
  readonly whileHost?: (host: OwnHost) => Promise<HostDuty>
}

/** What goes on beside the host. */
export interface HostDuty {
  asked(asks: ReadonlySet<string>): void
  close(): Promise<void>
}

export type SharedHostSettings = {
  /** The identity's: holds the socket `host.sock` (0600) and the lock `host.lock`. */
  readonly folder: string
  /** Multiaddrs. None: this process listens nowhere, and others do not attach to it; without a host it runs one for itself alone. */
  readonly listen: readonly string[]
  readonly announce?: readonly string[]
  /** What the host's composer should do for us. */
  readonly asks?: readonly string[]
}

export interface SharedHost extends PeerHost {
  /** What this process is at the moment. */
  readonly role: 'host' | 'attached' | 'alone'
  /** Whether another host was here a moment ago: who served through that one may be on its way to this one. */
  isNew(): boolean
  /** Where the host listens, as `SharedHostSettings` has it, with the port that 0 became. */
  listening(): readonly string[]
}

type Life = Pick<PeerHost, 'addresses' | 'handle' | 'unhandle' | 'dial' | 'close'> & {
  readonly role: SharedHost['role']
  readonly ended: Promise<void>
}

/** The peer id of the host that runs for the folder now; undefined when there is none. Fault `peer.host_silent`. */
export async function hostIdentity(clock: Clock, folder: string): Promise<string | undefined> {
  const attached = await attachHost({ clock, wants: () => false }, join(folder, 'host.sock'), [])
  await attached?.close()
  return attached?.peerId
}

const againMs = 50
const patienceMs = 10_000
const failedMs = 1_000
const maxDials = 5
/** How long a host that follows another one waits for those who were attached to that: they look for it every `againMs`, on a busy machine later. */
const settleMs = 5_000

/** Becomes the host or attaches to it. Faults: those of `createPeerHost`, `peer.other_host`, `peer.host_silent`. */
export async function openSharedHost(needs: SharedHostNeeds, settings: SharedHostSettings): Promise<SharedHost> {
  const { clock, log, peerId, proxyFor = noProxy, wants = () => true } = needs
  const { folder, asks = [] } = settings
  const socketPath = join(folder, 'host.sock')
  const mayHost = settings.listen.length > 0
  const handlers = new Map<string, (stream: PeerStream) => void>()
  const stop = new AbortController()
  /** Where to listen when it is our turn: after an owner, where that listened. */
  let place = { listen: settings.listen, announce: settings.announce ?? [] }
  let current: Promise<Life> | undefined
  let last: Life | undefined
  let newUntil = -Infinity

  const attach = async (): Promise<Life | undefined> => {
    const attached = await attachHost({ clock, wants }, socketPath, asks)
    if (!attached) return undefined
    const { about } = attached
    if (about.peerId !== peerId) {
      await attached.close()
      throw fault.other_host({ path: socketPath, peerId, found: about.peerId })
    }
    if (mayHost) place = { listen: about.listen, announce: [...new Set([...about.announce, ...place.announce])] }
    log.info('peer.attached', { addresses: about.addresses })
    return { ...attached, role: 'attached' }
  }
  const alone = async (): Promise<Life> => {
    const host = await createPeerHost({ identity: await needs.identity(), clock, log, proxyFor }, { listen: [] })
    return { ...host, role: 'alone', ended: new Promise(() => {}) }
  }
  const settle = async (): Promise<Life> => {
    const until = clock.mono() + patienceMs
    for (;;) {
      stop.signal.throwIfAborted()
      const lock = (await attach()) ?? (mayHost ? tryLock(folder) : await alone())
      if (lock && 'role' in lock) return lock
      if (lock) return become(needs, { ...place, socketPath, asks, isSuccessor: last !== undefined || existsSync(socketPath) }, lock)
      if (clock.mono() > until) throw fault.host_silent({ path: socketPath }) // held by one that does not listen
      await clock.wait(againMs, stop.signal)
    }
  }
  /** Takes up what we serve, and sees to it that somebody is the host again when this one is gone. */
  const begin = (life: Life): Life => {
    if (last) newUntil = clock.mono() + settleMs
    last = life
    for (const [protocol, accept] of handlers) life.handle(protocol, accept)
    void life.ended.then(() => {
      if (stop.signal.aborted || last !== life) return
      log.warn('peer.host_gone', {})
      current = mayHost ? again() : undefined // one that does not listen waits until it is asked for something
      current?.catch(() => {})
    })
    return life
  }
  const again = async (): Promise<Life> => {
    for (;;) {
      try {
        return begin(await settle())
      } catch (error) {
        if (stop.signal.aborted) throw error
        log.error('peer.not_hosted', { problem: asFault(error).message })
        await clock.wait(failedMs, stop.signal)
      }
    }
  }
  const now = (): Promise<Life> => {
    if (current) return current
    const settling = settle().then(begin)
    current = settling
    settling.catch(() => {
      if (current === settling) current = undefined
    })
    return settling
  }
  await now()

  return {
    peerId,
    get role() {
      return last!.role
    },
    isNew: () => clock.mono() < newUntil,
    addresses: () => last!.addresses(),
    listening: () => resolved(place.listen, last!.addresses()),
    handle(protocol, accept) {
      handlers.set(protocol, accept)
      last!.handle(protocol, accept)
    },
    unhandle(protocol) {
      handlers.delete(protocol)
      last!.unhandle(protocol)
    },
    async dial(peer, addresses, protocol, signal) {
      const late = (): Error => fault.unreachable({ peerId: peer ?? 'the peer', addresses, problem: 'gave up waiting for an answer' })
      for (let tries = 1; ; tries++) {
        if (stop.signal.aborted) throw fault.closed({ peerId })
        const life = signal ? await orAborted(now(), signal, late) : await now()
        try {
          return await life.dial(peer, addresses, protocol, signal)
        } catch (error) {
          if (!(error instanceof Fault) || error.code !== 'peer.host_gone' || tries === maxDials) throw error
          await life.ended // its connection ends as well: then there is another one
        }
      }
    },
    async close() {
      stop.abort(fault.closed({ peerId }))
      const life = await current?.catch(() => undefined)
      await life?.close()
    },
  }
}

function tryLock(folder: string): FolderLock | undefined {
  try {
    return lockFolder(folder, 'host')
  } catch (error) {
    if (asFault(error).code === 'store.locked') return undefined
    throw error
  }
}

type Place = {
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly socketPath: string
  readonly asks: readonly string[]
  /** A host was here before, and others may have served through it. */
  readonly isSuccessor: boolean
}

async function become(needs: SharedHostNeeds, { listen, announce, socketPath, asks, isSuccessor }: Place, lock: FolderLock): Promise<Life> {
  const { clock, log, peerId, proxyFor = noProxy, wants = () => true, whileHost } = needs
  await using starting = new AsyncDisposableStack()
  starting.defer(() => lock.release())
  const host = starting.adopt(
    await createPeerHost({ identity: await needs.identity(), clock, log, proxyFor }, { listen, announce }),
    (host) => host.close(),
  )
  const about = () => ({ peerId, addresses: host.addresses(), listen: resolved(listen, host.addresses()), announce })
  let duty: HostDuty | undefined
  let asked: ReadonlySet<string> = new Set(asks)
  const onAsks = (theirs: ReadonlySet<string>): void => {
    asked = new Set([...asks, ...theirs])
    duty?.asked(asked)
  }
  const server = starting.adopt(
    await serveHost({ host, clock, log, about, onAsks, settleMs: isSuccessor ? settleMs : 0 }, socketPath),
    (server) => server.close(),
  )
  const removers = new Map<string, () => void>()
  duty = await whileHost?.({
    ...host,
    handle: (protocol, accept) =>
      void server.board.add(protocol, {
        take: async (stream) => {
          accept(stream)
          return true
        },
      }),
  })
  if (duty) starting.adopt(duty, (duty) => duty.close())
  duty?.asked(asked)
  const running = starting.move()
  log.info('peer.hosting', { addresses: host.addresses() })
  return {
    role: 'host',
    ended: new Promise(() => {}),
    addresses: () => host.addresses(),
    dial: (peer, addresses, protocol, signal) => host.dial(peer, addresses, protocol, signal),
    handle(protocol, accept) {
      removers.get(protocol)?.()
      const remove = server.board.add(protocol, {
        async take(stream, must) {
          if (!must && !wants(stream.remotePeer, protocol)) return false
          accept(stream)
          return true
        },
      })
      removers.set(protocol, remove)
    },
    unhandle: (protocol) => removers.get(protocol)?.(),
    close: () => running.disposeAsync(),
  }
}

/** Port 0 as the port that it became, so that a successor is found at the same place. */
function resolved(listen: readonly string[], addresses: readonly string[]): readonly string[] {
  return listen.map((address) => {
    const [, family] = address.split('/')
    const isAlike = (found: string): boolean => found.startsWith(`/${family}/`) && kindOf(found) === kindOf(address)
    const port = addresses.find(isAlike)?.match(/\/tcp\/(\d+)/)?.[1]
    return port === undefined ? address : address.replace(/\/tcp\/0(?=$|\/)/, `/tcp/${port}`)
  })
}
