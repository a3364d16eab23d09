// A session is what outlives its streams: frames in order and exactly once over a channel that may be cut and replaced at any moment.
import { type Fault, outside } from '../../../kernel/fault.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { type Frame, token } from '../../wire/frame.ts'
import { badLineAnswer, insteadOfAnswer } from '../../wire/bad-line.ts'
import { noRoom, scan } from '../../wire/scan.ts'
import { type ScanLimits, fault as wireFault } from '../../wire/walk.ts'
import type { Sink, Wire, WireEnd } from '../../wire/wire.ts'
import { type Channel, type Message, type Refusal, refusalOf, types } from './message.ts'
import { type Heartbeat, heartbeat } from './heartbeat.ts'
import { Inbox } from './inbox.ts'
import { Outbox } from './outbox.ts'

export type SessionSettings = {
  readonly limits: ScanLimits
  readonly pingMs: number
  readonly busyPingMs: number
  /** How long `close()` waits until all has arrived. */
  readonly closeWaitMs: number
}

/** What a session has done so far. */
export type TunnelStats = {
  readonly sent: number
  readonly received: number
  /** Frames that came again after a cut, and were dropped. */
  readonly duplicates: number
  readonly cuts: number
  readonly unackedFrames: number
  readonly unackedBytes: number
  /** Received, and not yet taken by our reader. */
  readonly waitingBytes: number
  readonly isConnected: boolean
}

/** Writers that go on after `false` are taken to this point; past it the session ends, for it would otherwise eat the machine. */
const maxUnackedBytes = 128 << 20

export class Session implements Wire {
  readonly remotePeer: string
  readonly ended: Promise<WireEnd>
  /** Called when the channel was lost and the session waits for another one. */
  onLost: (problem: string) => void = () => {}
  /** Called again and again while the path is silent although it should not be: it may be cut, without anybody being told. */
  onSilent: () => void = () => {}
  /** Called once, when nothing of the session is needed any more. */
  onGone: () => void = () => {}
  /** The largest frame that the other side takes. */
  maxRemoteFrameBytes: number
  readonly #clock: Clock
  readonly #log: Log
  readonly #settings: SessionSettings
  #resolveEnd!: (end: WireEnd) => void
  #over: WireEnd | undefined
  #isGone = false
  #channel: Channel | undefined
  readonly #out: Outbox
  readonly #in: Inbox
  #duplicates = 0
  #cuts = 0
  // what is due on the channel beside frames
  #owes = { ack: false, ping: false, close: false }
  #isConfirmed = false
  #isClosing = false
  #remoteClosed = false
  #heartbeat: Heartbeat | undefined
  #cancelClose: (() => void) | undefined

  constructor(remotePeer: string, needs: { readonly clock: Clock; readonly log: Log }, settings: SessionSettings) {
    this.remotePeer = remotePeer
    this.#clock = needs.clock
    this.#log = needs.log
    this.#settings = settings
    this.maxRemoteFrameBytes = settings.limits.maxFrameBytes
    this.#out = new Outbox(settings.limits.budget)
    this.#in = new Inbox(
      needs.clock,
      () => {
        this.#owes.ack = true
        this.#pump()
      },
      () => this.#remoteClosed && this.end({ why: 'eof' }),
      settings.limits.budget,
    )
    this.ended = new Promise((resolve) => {
      this.#resolveEnd = resolve
    })
  }

  get isOver(): boolean {
    return this.#over !== undefined
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** The other side has shown that it knows of the session. */
  get isConfirmed(): boolean {
    return this.#isConfirmed
  }

  /** The last frame we have received and the last one our reader has taken: what HELLO and WELCOME say. */
  get position(): { readonly seen: number; readonly consumed: number } {
    return { seen: this.#in.seen, consumed: this.#in.consumed }
  }

  get stats(): TunnelStats {
    return {
      sent: this.#out.last,
      received: this.#in.seen,
      duplicates: this.#duplicates,
      cuts: this.#cuts,
      unackedFrames: this.#out.count,
      unackedBytes: this.#out.sizeBytes,
      waitingBytes: this.#in.sizeBytes,
      isConnected: this.#channel !== undefined,
    }
  }

  write(frame: Frame): boolean {
    if (this.#isDone()) return true
    const maxFrameBytes = Math.min(this.maxRemoteFrameBytes, this.#settings.limits.maxFrameBytes)
    if (frame.bytes.length > maxFrameBytes) return this.#answerTooLarge(frame, maxFrameBytes)
    this.#out.push(frame.bytes)
    this.#heartbeat?.stir()
    if (this.#out.sizeBytes > maxUnackedBytes)
      this.end({ why: 'cut', problem: `more than ${maxUnackedBytes} bytes wait for the other end` })
    this.#pump()
    return !this.#out.isFull
  }

  room(): Promise<void> {
    if (this.#isDone() || !this.#out.isFull) return Promise.resolve()
    return this.#out.room()
  }

  read(into: Sink): void {
    if (!this.#over) this.#in.read(into)
  }

  async close(): Promise<void> {
    if (this.#isGone || this.#isClosing) return
    this.#isClosing = true
    this.#over ??= { why: 'closed' }
    this.#resolveEnd(this.#over)
    this.#out.wake()
    this.#in.discard()
    this.#owes.close = true
    await new Promise<void>((resolve) => {
      const inner = this.onGone
      this.onGone = () => {
        inner()
        resolve()
      }
      this.#cancelClose = this.#clock.after(this.#settings.closeWaitMs, () => this.#leave())
      this.#pump()
    })
  }

  /** Ends the session from our side, at once; with a refusal the other end is told why, if it can still be reached. */
  end(end: WireEnd, refusal?: Refusal): void {
    if (this.#isGone) return
    if (refusal) this.#channel?.send(types.refused, 0, 0, Buffer.from(JSON.stringify(refusal)))
    this.#over ??= end
    this.#resolveEnd(this.#over)
    this.#leave()
  }

  /** Drops the channel that it has, and the path beneath it if nothing else uses that: the session waits for another one, as after any cut. */
  cut(problem: string): void {
    if (!this.#channel || this.#isClosing) return
    this.#detach()!.drop('idle')
    this.#lost(problem)
  }

  /** Bytes that came over the channel that it has; changes when that does. */
  get heard(): number {
    return this.#channel?.bytesIn ?? -1
  }

  /** Whether the channel goes through a relay. */
  get isRelayed(): boolean {
    return this.#channel?.stream.isRelayed ?? false
  }

  /** Goes on over a new channel, after `seen`, the last frame the other side has; false when it claims what cannot be. */
  attach(channel: Channel, seen: number, ack: number): boolean {
    if (!this.#out.rewind(seen, ack)) return false
    this.#detach()?.drop()
    this.#channel = channel
    this.#in.acknowledge() // HELLO and WELCOME said so
    this.#owes = { ack: false, ping: true, close: this.#isClosing } // the PING shows at once that the greeting came through
    const listener = {
      message: (message: Message) => this.#message(message),
      lost: (problem: string, error?: unknown) => this.#lost(problem, error),
      drained: () => this.#pump(),
    }
    channel.listen(listener, this.#settings.limits)
    this.#heartbeat = heartbeat(channel, this.#clock, this.#settings, {
      due: () => {
        this.#owes.ping = true
        this.#pump()
      },
      silent: () => this.onSilent(),
      missed: () => {
        channel.drop('connection')
        this.#lost('two pings went unanswered')
      },
    })
    this.#pump()
    return true
  }

  #isDone(): boolean {
    return this.#over !== undefined || this.#remoteClosed
  }

  /** Sends what is due while the channel takes it. Control messages owed twice are sent once, so that nobody can make us queue them. */
  #pump(): void {
    while (this.#channel && !this.#channel.isFull) if (!this.#sendOne(this.#channel)) return
  }

  #sendOne(channel: Channel): boolean {
    const owes = this.#owes
    const out = this.#out
    if (owes.ping) {
      owes.ping = false
      channel.send(types.ping, out.sent, this.#ackNow())
    } else if (owes.ack) {
      channel.send(types.ack, out.sent, this.#ackNow())
    } else {
      const bytes = out.next()
      if (bytes) channel.send(types.frame, out.sent, this.#ackNow(), bytes)
      else if (owes.close && out.sent === out.last) {
        owes.close = false
        channel.send(types.close, out.sent, this.#ackNow())
      } else return false
    }
    return true
  }

  #ackNow(): number {
    this.#owes.ack = false
    return this.#in.acknowledge()
  }

  #message(message: Message): void {
    const { type, seq, ack } = message
    this.#isConfirmed = true
    if (ack > this.#out.top) return this.#garbage('an acknowledgement of what was never sent')
    if (type === types.refused) return this.#refused(message)
    this.#out.release(ack)
    if (type === types.frame) this.#frame(message)
    else if (type === types.close) this.#closed(seq)
    else if (type !== types.ack && type !== types.ping) this.#garbage(`a message of type ${type} in mid-session`)
    this.#pump()
  }

  #frame({ seq, body, cut }: Message): void {
    if (this.#remoteClosed) return this.#garbage('a frame after the end')
    if (seq <= this.#in.seen) {
      this.#duplicates++
      this.#owes.ack = true
      return
    }
    if (seq !== this.#in.seen + 1) return this.#garbage(`frame ${seq} after frame ${this.#in.seen}`)
    if (this.#in.isFull) return this.#garbage('more frames than the window allows')
    if (cut) return this.#passedOver(noRoom(cut.head, cut.tail, this.#settings.limits.budget!.maxBytes))
    let frame: Frame
    try {
      frame = scan(body, this.#settings.limits)
    } catch (error) {
      return this.#garbage((error as Fault).message)
    }
    this.#heartbeat?.stir()
    this.#in.push(frame)
  }

  /** A frame that there was no room for counts as taken: the request it was, or would have answered, gets an error. */
  #passedOver(problem: Fault): void {
    this.#log.warn('tunnel.no_room', { peer: this.remotePeer, problem: problem.message })
    this.#in.push(insteadOfAnswer(problem))
    if (typeof problem.details['id'] === 'string') this.write(badLineAnswer(problem))
  }

  #closed(seq: number): void {
    const reply = (): void => this.#channel?.send(types.close, this.#out.sent, this.#ackNow())
    if (this.#isClosing) {
      if (this.#owes.close) reply() // both close at once: neither reads any more
      return this.#leave()
    }
    if (seq !== this.#in.seen) return this.#garbage(`an end after frame ${seq}, where ${this.#in.seen} came`)
    this.#remoteClosed = true
    reply()
    this.#detach()?.end()
    this.#out.wake()
    if (this.#in.isEmpty) this.end({ why: 'eof' })
  }

  #refused(message: Message): void {
    this.end({ why: 'cut', problem: `refused: ${refusalOf(message).reason}` })
  }

  #garbage(problem: string): void {
    this.#log.warn('tunnel.garbage', { peer: this.remotePeer, problem })
    this.end({ why: 'garbage', problem }, { code: 'garbage', reason: problem })
  }

  #lost(problem: string, error?: unknown): void {
    this.#detach()?.drop()
    const { code } = (error ?? {}) as Partial<Fault>
    if (code === 'tunnel.too_large') return this.end({ why: 'tooLarge', problem })
    if (code === 'tunnel.garbage') return this.#garbage(problem)
    if (this.#isGone || this.#remoteClosed) return
    this.#cuts++
    this.onLost(problem)
  }

  #detach(): Channel | undefined {
    const channel = this.#channel
    this.#channel = undefined
    this.#heartbeat?.stop()
    return channel
  }

  /** Lets go of everything. */
  #leave(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#cancelClose?.()
    this.#detach()?.end()
    this.#out.clear()
    this.#in.discard()
    this.onGone()
  }

  /** A frame that the other end would refuse never leaves: the request it is, or answers, gets an error, and the session lives on. */
  #answerTooLarge(frame: Frame, maxFrameBytes: number): boolean {
    this.#log.warn('tunnel.too_large', { peer: this.remotePeer, sizeBytes: frame.bytes.length, method: frame.method })
    const answer = tooLargeAnswer(frame, maxFrameBytes)
    if (!answer) return true
    if (frame.kind !== 'request') return this.write(answer)
    this.#in.push(answer, true)
    return true
  }
}

function tooLargeAnswer(frame: Frame, maxFrameBytes: number): Frame | undefined {
  if (!frame.at.id) return undefined
  const { message, kind } = wireFault.too_large({ maxFrameBytes })
  const error = JSON.stringify({ code: outside[kind].rpcCode, message })
  return scan(Buffer.from(`{"jsonrpc":"2.0","id":${token(frame, frame.at.id)},"error":${error}}`))
}
