// The tunnel: a wire between two peers that survives cuts. The client dials again and again and resumes; the server keeps what it needs for that.
// The bytes are described in message.ts, what a session keeps between two streams in session.ts.
import { timingSafeEqual } from 'node:crypto'
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { randomFraction, randomId } from '../../kernel/random.ts'
import { type ScanLimits, defaultLimits } from '../wire/scan.ts'
import type { Wire } from '../wire/wire.ts'
import { fault as peerFault } from './fault.ts'
import type { PeerHost, PeerStream } from './host.ts'
import { Channel, type Hello, type Message, type Refusal, type Welcome, bodyOf, fault, refusalOf, types, version } from './message.ts'
import { Session, type TunnelStats } from './session.ts'

export const tunnelProtocol = '/fairlead/wire/1'

export type TunnelSettings = {
  readonly limits?: ScanLimits
  /** How long a cut session waits for its other half: 5 min. The server's value is the one that counts when it is shorter. */
  readonly keepMs?: number
  /** Between two PINGs: 5 s. A path is dead after two without a sign of life. */
  readonly pingMs?: number
  /** How long a greeting may take: 10 s. */
  readonly helloMs?: number
  /** How long `close()` waits until the other end has everything: 2 s. */
  readonly closeWaitMs?: number
}

const defaults = {
  limits: defaultLimits,
  keepMs: 300_000,
  pingMs: 5_000,
  helloMs: 10_000,
  closeWaitMs: 2_000,
} as const satisfies Required<TunnelSettings>

/** A wire to a peer whose key was proved. */
export interface Tunnel extends Wire {
  readonly remotePeer: string
  readonly stats: TunnelStats
}

export type ConnectTunnelNeeds = {
  /** A new stream of `tunnelProtocol` to the peer; called again after every cut. */
  readonly open: (signal: AbortSignal) => Promise<PeerStream>
  readonly clock: Clock
  readonly log: Log
  /** A float in [0, 1), for jitter. */
  readonly random?: () => number
}

const json = (value: Hello | Welcome | Refusal): Buffer => Buffer.from(JSON.stringify(value))

/** How long the nth attempt to come back may take. Short ones first: over a path that swallows packets a dial answers only as late as its last try. */
const attemptMs = [2_000, 2_000, 4_000, 10_000] as const

/** The wait before the nth attempt, `awayMs` after the cut: 25 ms doubling to 800 ms, then a tenth of the time away, at most 5 s; half of it jitter. */
export function backoffMs(attempt: number, awayMs: number, random: number): number {
  const full = Math.min(5_000, Math.max(Math.min(25 * 2 ** attempt, 800), awayMs / 10))
  return full * (0.5 + random / 2)
}

/**
 * Opens a session and gives it as a wire; tried once, and whatever `open` throws comes through. Faults: `peer.refused` when the server says no
 * (its reason in the message), `peer.lost` when the stream ends before the answer. Later cuts are mended behind the wire.
 */
export async function connectTunnel(needs: ConnectTunnelNeeds, settings: TunnelSettings = {}): Promise<Tunnel> {
  const { open, clock, log, random = randomFraction } = needs
  const set = { ...defaults, ...settings }
  const { maxFrameBytes } = set.limits
  let welcome: Welcome | undefined
  let session: Session | undefined

  /** One stream, one HELLO, one answer. Resolves when the session goes on over it. */
  async function attempt(limitMs: number, over?: AbortSignal): Promise<Session> {
    const stop = new AbortController()
    const abort = (): void => stop.abort(new Error('no answer in time'))
    const cancel = clock.after(limitMs, abort)
    over?.addEventListener('abort', abort)
    try {
      const stream = await open(stop.signal)
      return await greet(stream, stop.signal)
    } finally {
      cancel()
      over?.removeEventListener('abort', abort)
    }
  }

  function greet(stream: PeerStream, signal: AbortSignal): Promise<Session> {
    const { remotePeer: peerId } = stream
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        channel.drop()
        reject(error)
      }
      const message = (answer: Message): void => {
        try {
          resolve(welcomed(channel, answer))
        } catch (error) {
          fail(error as Error)
        }
      }
      const lost = (problem: string, error?: unknown): void => fail(error instanceof Fault ? error : peerFault.lost({ peerId, problem }))
      const channel = new Channel(stream, { message, lost, drained() {} })
      if (session && session.remotePeer !== peerId)
        return fail(peerFault.lost({ peerId: session.remotePeer, problem: `${peerId} came in its place` }))
      signal.addEventListener('abort', () => fail(peerFault.lost({ peerId, problem: 'no answer to the greeting' })), { once: true })
      const back = welcome && { session: welcome.session, token: welcome.token }
      const { seen, consumed } = session?.position ?? { seen: 0, consumed: 0 }
      channel.send(types.hello, seen, consumed, json({ version, maxFrameBytes, ...back }))
    })
  }

  function welcomed(channel: Channel, answer: Message): Session {
    const { remotePeer: peerId } = channel.stream
    if (answer.type === types.refused) throw peerFault.refused({ peerId, ...refusalOf(answer) })
    if (answer.type !== types.welcome) throw fault.garbage({ problem: `a greeting answered with type ${answer.type}` })
    const given = bodyOf(answer) as Partial<Welcome>
    const isWhole =
      typeof given.session === 'string' &&
      typeof given.token === 'string' &&
      Number.isSafeInteger(given.keepMs) &&
      Number.isSafeInteger(given.maxFrameBytes)
    if (!isWhole || (welcome && welcome.session !== given.session)) throw fault.garbage({ problem: 'a welcome to something else' })
    const going = session ?? new Session(peerId, { clock, log }, set)
    going.maxRemoteFrameBytes = given.maxFrameBytes!
    if (going.isGone || !going.attach(channel, answer.seq, answer.ack))
      throw fault.garbage({ problem: 'a welcome with impossible numbers' })
    welcome = given as Welcome
    return going
  }

  async function comeBack(lost: Session, problem: string): Promise<void> {
    const { remotePeer: peer } = lost
    log.info('tunnel.cut', { peer, problem })
    const from = clock.mono()
    const over = new AbortController()
    const goneBefore = lost.onGone
    lost.onGone = () => {
      over.abort()
      goneBefore()
    }
    const cancelKeep = clock.after(Math.min(set.keepMs, welcome!.keepMs), () => lost.end({ why: 'expired' }))
    try {
      for (let n = 0; !lost.isGone; n++) {
        await clock.wait(backoffMs(n, clock.mono() - from, random()), over.signal)
        try {
          await attempt(attemptMs[n % attemptMs.length]!, over.signal)
          log.info('tunnel.resumed', { peer, awayMs: Math.round(clock.mono() - from), attempts: n + 1 })
          return
        } catch (error) {
          const { code, message, details } = error as Fault
          log.debug('tunnel.not_yet', { peer, problem: message })
          if (code === 'tunnel.garbage' || code === 'tunnel.too_large') lost.end({ why: 'garbage', problem: message })
          else if (code === 'peer.refused' && details['code'] === 'expired') lost.end({ why: 'expired' })
          else if (code === 'peer.refused' && details['code'] === 'denied')
            lost.end({ why: 'cut', problem: `refused: ${String(details['reason'])}` })
        }
      }
    } catch {
      // the session ended while we waited
    } finally {
      cancelKeep()
      lost.onGone = goneBefore
    }
  }

  session = await attempt(set.helloMs)
  const connected = session
  connected.onLost = (problem) => void comeBack(connected, problem)
  if (!connected.stats.isConnected && !connected.isGone) connected.onLost('lost at once')
  return connected
}

export type AcceptTunnelsNeeds = {
  readonly host: Pick<PeerHost, 'handle'>
  readonly clock: Clock
  readonly log: Log
  /** Asked at every greeting, of a proved peer id: a reason to refuse it, as a person will read it, or undefined. */
  readonly authorize: (peerId: string) => string | undefined
  /** Gets each new session as a wire, once; resumptions happen behind it. */
  readonly accept: (wire: Tunnel, remotePeer: string) => void
}

export type AcceptTunnelsSettings = TunnelSettings & {
  /** Sessions at once: 1,024, and 64 of one peer. */
  readonly maxSessions?: number
  readonly maxSessionsPerPeer?: number
}

export interface TunnelServer {
  /** Sessions that are open or may still come back. */
  count(): number
  /** Ends every session of the peer at once and tells it why; answers how many. It comes back only if `authorize` lets it. */
  revoke(peerId: string, reason?: string): number
  /** Refuses whoever comes, and closes every session in order. */
  close(): Promise<void>
}

const maxGreetings = 256
/** A client that never showed that it knows its session will not come back to it. */
const unconfirmedKeepMs = 15_000

type Kept = { readonly session: Session; readonly token: Buffer; cancelKeep: () => void }

/** Serves `tunnelProtocol` on the host. */
export function acceptTunnels(needs: AcceptTunnelsNeeds, settings: AcceptTunnelsSettings = {}): TunnelServer {
  const { host, clock, log, authorize, accept } = needs
  const { maxSessions = 1_024, maxSessionsPerPeer = 64, ...rest } = settings
  const set = { ...defaults, ...rest }
  const { maxFrameBytes } = set.limits
  const sessions = new Map<string, Kept>()
  let greetings = 0
  let isClosed = false

  function incoming(stream: PeerStream): void {
    if (greetings >= maxGreetings) return stream.abort()
    greetings++
    let isGreeted = false
    const done = (): void => {
      if (isGreeted) return
      isGreeted = true
      greetings--
      cancel()
    }
    const channel = new Channel(stream, {
      message(message) {
        done()
        const refusal = answer(channel, message)
        if (!refusal) return
        log.info('tunnel.refused', { peer: stream.remotePeer, code: refusal.code, reason: refusal.reason })
        channel.send(types.refused, 0, 0, json(refusal))
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
    const kept: Kept = { session, token: Buffer.from(token), cancelKeep() {} }
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
    channel.send(types.welcome, 0, 0, json({ session: id, token, keepMs: set.keepMs, maxFrameBytes }))
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
    if (kept && !isOwn) log.warn('tunnel.foreign_session', { peer: remotePeer })
    if (!kept || !isOwn || kept.session.isOver) return { code: 'expired', reason: 'there is no such session' }
    const { session } = kept
    const { seen, consumed } = session.position
    kept.cancelKeep()
    session.maxRemoteFrameBytes = theirMax
    channel.send(types.welcome, seen, consumed, json({ session: id, token: String(hello.token), keepMs: set.keepMs, maxFrameBytes }))
    if (session.attach(channel, message.seq, message.ack)) return undefined
    session.end({ why: 'garbage', problem: 'a greeting with impossible numbers' })
    return { code: 'garbage', reason: 'impossible numbers in the greeting' }
  }

  function end(peer: string, id: string, reason: string): void {
    const session = sessions.get(id)?.session
    if (session?.remotePeer === peer) session.end({ why: 'cut', problem: `refused: ${reason}` })
  }

  host.handle(tunnelProtocol, incoming)
  return {
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
