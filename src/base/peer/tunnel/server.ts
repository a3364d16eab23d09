// The end of tunnels that is dialled: it greets, authorizes, and keeps each session for as long as its client may come back.
import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { randomId } from '../../../kernel/random.ts'
import type { PeerHost, PeerStream } from '../host/host.ts'
import { Channel, type Hello, type Message, type Refusal, bodyOf, fault, jsonBytes, types, version } from './message.ts'
import { slots } from '../slots.ts'
import { Session, type TunnelStats } from './session.ts'
import { type Tunnel, type TunnelSettings, serverProtocol, tunnelDefaults, tunnelProtocol } from './tunnel.ts'

export type AcceptTunnelsNeeds = {
  readonly host: Pick<PeerHost, 'handle'>
  readonly clock: Clock
  readonly log: Log
  /** Asked at every greeting, of a proved peer id: a reason to refuse it, as a person will read it, or undefined. */
  readonly authorize: (peerId: string) => string | undefined
  /** Gets each new session as a wire, once; resumptions happen behind it. */
  readonly accept: (wire: Tunnel, remotePeer: string) => void
  /** Whether another server of the same peer id may be on its way to where this one was found: who looks for a session there is asked to come again. */
  readonly mayBeElsewhere?: () => boolean
}

export type AcceptTunnelsSettings = TunnelSettings & {
  /** Sessions at once: 1,024, and 64 of one peer. */
  readonly maxSessions?: number
  readonly maxSessionsPerPeer?: number
}

/** A session as it is now; `isRelayed` and `ip` are those of its way, or of the last one that it had. */
export type TunnelSession = TunnelStats & {
  readonly peer: string
  /** ms since 1970. */
  readonly since: number
  readonly isRelayed: boolean
  readonly ip: string
}

export interface TunnelServer {
  /** Those that are open or may still come back. */
  sessions(): readonly TunnelSession[]
  /** Sessions that are open or may still come back. */
  count(): number
  /** Ends every session of the peer at once and tells it why; answers how many. It comes back only if `authorize` lets it. */
  revoke(peerId: string, reason?: string): number
  /** Refuses whoever comes, and closes every session in order. */
  close(): Promise<void>
}

/** Under way: whoever opens a stream and says nothing takes only a part of the room. As many of one peer as it may have sessions: they come back at the same time. */
const maxGreetings = 512
const maxGreetingsPerPeer = 64
/** A client that never showed that it knows its session will not come back to it. */
const unconfirmedKeepMs = 15_000

type Way = { readonly isRelayed: boolean; readonly ip: string }
type Kept = { readonly session: Session; readonly token: Buffer; readonly since: number; way: Way; cancelKeep: () => void }

/** Serves `tunnelProtocol` on the host. */
export function acceptTunnels(needs: AcceptTunnelsNeeds, settings: AcceptTunnelsSettings = {}): TunnelServer {
  const { host, clock, log, authorize, accept, mayBeElsewhere = () => false } = needs
  const { maxSessions = 1_024, maxSessionsPerPeer = 64, ...rest } = settings
  const set = { ...tunnelDefaults, ...rest }
  const { maxFrameBytes } = set.limits
  const sessions = new Map<string, Kept>()
  const at = serverProtocol(randomId())
  const take = slots({ most: maxGreetings, perPeer: maxGreetingsPerPeer })
  let isClosed = false

  function incoming(stream: PeerStream): void {
    const giveBack = take(stream)
    if (!giveBack) return stream.abort()
    const done = (): void => {
      giveBack()
      cancel()
    }
    const channel = new Channel(stream, {
      message(message) {
        done()
        const refusal = answer(channel, message)
        if (!refusal) return
        log.info('tunnel.refused', { peer: stream.remotePeer, code: refusal.code, reason: refusal.reason })
        channel.send(types.refused, 0, 0, jsonBytes(refusal))
        channel.end()
      },
      lost(problem) {
        done()
        log.debug('tunnel.no_greeting', { peer: stream.remotePeer, problem })
        channel.drop()
      },
      drained() {},
    })
    const cancel = clock.after(set.helloMs, () => {
      done()
      channel.drop()
    })
  }

  function answer(channel: Channel, message: Message): Refusal | undefined {
    const peer = channel.stream.remotePeer
    let hello: Partial<Hello>
    try {
      if (message.type !== types.hello) throw fault.garbage({ problem: 'the first message is no HELLO' })
      hello = bodyOf(message)
    } catch (error) {
      return { code: 'garbage', reason: (error as Error).message }
    }
    if (hello.version !== version)
      return {
        code: 'version',
        reason:
          `this side speaks version ${version} of the tunnel protocol, you asked for ${JSON.stringify(hello.version) ?? 'none'}`.slice(
            0,
            200,
          ),
      }
    const reason = authorize(peer)
    if (reason !== undefined) {
      if (typeof hello.session === 'string') end(peer, hello.session, reason)
      return { code: 'denied', reason }
    }
    if (isClosed) return { code: 'busy', reason: 'it is shutting down' }
    const { maxFrameBytes: theirs = maxFrameBytes } = hello
    const theirMax = Number.isSafeInteger(theirs) && theirs > 0 ? theirs : maxFrameBytes
    return hello.session === undefined ? begin(channel, message, theirMax) : resume(channel, message, hello, theirMax)
  }

  function begin(channel: Channel, message: Message, theirMax: number): Refusal | undefined {
    const { remotePeer } = channel.stream
    const ofPeer = [...sessions.values()].filter(({ session }) => session.remotePeer === remotePeer).length
    if (sessions.size >= maxSessions || ofPeer >= maxSessionsPerPeer) return { code: 'busy', reason: 'it has too many sessions open' }
    if (message.seq !== 0 || message.ack !== 0) return { code: 'garbage', reason: 'a new session that has received something' }
    const id = randomId()
    const token = randomId(32)
    const session = new Session(remotePeer, { clock, log }, set)
    session.maxRemoteFrameBytes = theirMax
    const kept: Kept = { session, token: Buffer.from(token), since: clock.now(), way: wayOf(channel), cancelKeep() {} }
    sessions.set(id, kept)
    session.onGone = () => {
      kept.cancelKeep()
      sessions.delete(id)
    }
    session.onLost = (problem) => {
      const keepMs = session.isConfirmed ? set.keepMs : Math.min(set.keepMs, unconfirmedKeepMs)
      log.info('tunnel.cut', { peer: remotePeer, problem, keepMs })
      kept.cancelKeep = clock.after(keepMs, () => session.end({ why: 'expired' }))
    }
    channel.send(types.welcome, 0, 0, jsonBytes({ session: id, token, keepMs: set.keepMs, maxFrameBytes, at }))
    session.attach(channel, 0, 0)
    accept(session, remotePeer)
    return undefined
  }

  function resume(channel: Channel, message: Message, hello: Partial<Hello>, theirMax: number): Refusal | undefined {
    const { remotePeer } = channel.stream
    const id = String(hello.session)
    const kept = sessions.get(id)
    const token = Buffer.from(String(hello.token))
    const isOwn = kept?.session.remotePeer === remotePeer && token.length === kept.token.length && timingSafeEqual(token, kept.token)
    if (!kept && mayBeElsewhere()) return { code: 'busy', reason: 'who has that session may be on its way' }
    if (kept && !isOwn) log.warn('tunnel.foreign_session', { peer: remotePeer })
    if (!kept || !isOwn || kept.session.isOver) return { code: 'expired', reason: 'there is no such session' }
    const { session } = kept
    const { seen, consumed } = session.position
    kept.cancelKeep()
    session.maxRemoteFrameBytes = theirMax
    channel.send(
      types.welcome,
      seen,
      consumed,
      jsonBytes({ session: id, token: String(hello.token), keepMs: set.keepMs, maxFrameBytes, at }),
    )
    kept.way = wayOf(channel)
    if (session.attach(channel, message.seq, message.ack)) return undefined
    session.end({ why: 'garbage', problem: 'a greeting with impossible numbers' })
    return { code: 'garbage', reason: 'impossible numbers in the greeting' }
  }

  function end(peer: string, id: string, reason: string): void {
    const session = sessions.get(id)?.session
    if (session?.remotePeer === peer) session.end({ why: 'cut', problem: `refused: ${reason}` })
  }

  for (const protocol of [tunnelProtocol, at]) host.handle(protocol, incoming)
  return {
    sessions: () =>
      [...sessions.values()].map(({ session, since, way }) => ({ ...session.stats, peer: session.remotePeer, since, ...way })),
    count: () => sessions.size,
    revoke(peerId, reason = 'not authorized any more') {
      const ended = [...sessions.values()].filter(({ session }) => session.remotePeer === peerId)
      for (const { session } of ended) session.end({ why: 'cut', problem: `refused: ${reason}` }, { code: 'denied', reason })
      return ended.length
    },
    async close() {
      isClosed = true
      await Promise.all([...sessions.values()].map(({ session }) => session.close()))
    },
  }
}

function wayOf({ stream }: Channel): Way {
  return { isRelayed: stream.isRelayed, ip: stream.remoteAddress }
}
