// The end of a tunnel that dials: again and again after a cut, and resumes the session.
import { Fault } from '../../../kernel/fault.ts'
import { type Clock, deadline } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { randomFraction } from '../../../kernel/random.ts'
import { firstBack } from './come-back.ts'
import { fault as peerFault } from '../fault.ts'
import type { PeerStream } from '../host/host.ts'
import { Channel, type Message, type Welcome, bodyOf, fault, jsonBytes, refusalOf, types, version } from './message.ts'
import { Session } from './session.ts'
import { type Tunnel, type TunnelSettings, isTunnelProtocol, tunnelDefaults, tunnelProtocol } from './tunnel.ts'

export type ConnectTunnelNeeds = {
  /** A new stream to the peer, of the first of these protocols that it offers; called again after every cut. */
  readonly open: (signal: AbortSignal, protocols: readonly string[]) => Promise<PeerStream>
  /** The same, but without a relay: while the session goes through one, it is tried from time to time, and the session moves over. Absent: it stays. */
  readonly openDirect?: ConnectTunnelNeeds['open']
  readonly clock: Clock
  readonly log: Log
  /** A float in [0, 1), for jitter. */
  readonly random?: () => number
}

/** The wait before the nth look for a direct way: 2 s doubling to 2 min; half of it jitter. */
export function directAfterMs(attempt: number, random: number): number {
  return Math.min(120_000, 2_000 * 2 ** attempt) * (0.5 + random / 2)
}

/** How long another path may take while this one is silent. Short: over a path that swallows packets a dial answers only as late as its last try. */
const asideMs = 2_000
/** How long the greeting of a session that comes back may take. */
const greetMs = 2_000
/** How long a direct way may take to show that it is there. */
const directMs = 5_000

/**
 * Opens a session and gives it as a wire; tried once, and whatever `open` throws comes through. Faults: `peer.refused` when the server says no
 * (its reason in the message), `peer.lost` when the stream ends before the answer. Later cuts are mended behind the wire.
 */
export async function connectTunnel(needs: ConnectTunnelNeeds, settings: TunnelSettings = {}): Promise<Tunnel> {
  const { open, openDirect, clock, log, random = randomFraction } = needs
  const set = { ...tunnelDefaults, ...settings }
  const { maxFrameBytes } = set.limits
  let welcome: Welcome | undefined
  let session: Session | undefined
  /** A stream that the session is about to move to. */
  let better: PeerStream | undefined
  let isLookingAside = false
  let looking: AbortController | undefined
  /** The server that has the session is asked for first; whoever else is there may say that it is gone. */
  const protocols = (): readonly string[] => [...(welcome?.at === undefined ? [] : [welcome.at]), tunnelProtocol]

  const openAgain = (signal: AbortSignal): Promise<PeerStream> => open(signal, protocols())

  /** One HELLO, one answer. Resolves when the session goes on over the stream. */
  async function greetWithin(limitMs: number, stream: PeerStream, over?: AbortSignal): Promise<Session> {
    const stop = new AbortController()
    const abort = (): void => stop.abort(new Error('no answer in time'))
    const cancel = clock.after(limitMs, abort)
    over?.addEventListener('abort', abort)
    try {
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
      channel.send(types.hello, seen, consumed, jsonBytes({ version, maxFrameBytes, ...back }))
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
      Number.isSafeInteger(given.maxFrameBytes) &&
      (given.at === undefined || (typeof given.at === 'string' && isTunnelProtocol(given.at)))
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
    const over = new AbortController()
    const goneBefore = lost.onGone
    lost.onGone = () => {
      over.abort()
      goneBefore()
    }
    const cancelKeep = clock.after(Math.min(set.keepMs, welcome!.keepMs), () => lost.end({ why: 'expired' }))
    const cut = { from: clock.mono(), attempts: 0 }
    const missed = (error: unknown): void => log.debug('tunnel.not_yet', { peer, problem: (error as Error).message })
    try {
      while (!lost.isGone) {
        const stream = better ?? (await firstBack({ clock, open: openAgain, random, missed }, cut, over.signal))
        better = undefined
        try {
          await greetWithin(greetMs, stream, over.signal)
          const awayMs = Math.round(clock.mono() - cut.from)
          log.info('tunnel.resumed', { peer, awayMs, attempts: cut.attempts, isRelayed: lost.isRelayed })
          return void moveToDirect(lost)
        } catch (error) {
          const { code, details, message } = error as Fault
          missed(error)
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

  /** While the session goes through a relay: looks for a direct way, and takes it. To move is to be cut at a good moment, and to come back at once. */
  async function moveToDirect(going: Session): Promise<void> {
    if (!openDirect) return
    const over = new AbortController()
    looking?.abort()
    looking = over
    for (let n = 0; going.isRelayed; n++) {
      await clock.wait(directAfterMs(n, random()), over.signal).catch(() => {})
      if (over.signal.aborted || !going.isRelayed) return
      const found = await openDirect(deadline(clock, directMs, over.signal), protocols()).catch(() => undefined)
      if (!found) continue
      if (over.signal.aborted || !going.isRelayed || found.isRelayed) return found.abort()
      return moveTo(found, going, 'a direct way was found')
    }
  }
  function moveTo(stream: PeerStream, going: Session, why: string): void {
    better = stream
    going.cut(why)
  }

  /** The path is silent: another one is looked for beside it, and taken if it is there first. */
  async function lookAside(going: Session): Promise<void> {
    if (isLookingAside) return
    isLookingAside = true
    const { heard } = going
    try {
      const found = await openAgain(deadline(clock, asideMs))
      if (going.heard === heard && going.stats.isConnected) moveTo(found, going, 'the path is silent, and another one is not')
      else found.abort()
    } catch {
      // the next silence looks again
    } finally {
      isLookingAside = false
    }
  }

  const limit = deadline(clock, set.helloMs)
  session = await greetWithin(set.helloMs, await openAgain(limit))
  const connected = session
  connected.onLost = (problem) => void comeBack(connected, problem)
  connected.onSilent = () => void lookAside(connected)
  const { onGone } = connected
  connected.onGone = () => {
    looking?.abort()
    onGone()
  }
  void moveToDirect(connected)
  if (!connected.stats.isConnected && !connected.isGone) connected.onLost('lost at once')
  return connected
}
