// A leg over a wire (stdio child, UNIX socket): exchanges share one pipe and are told apart by id.
import { faults, reasonOf } from '../../../kernel/fault.ts'
import { type Frame, idKey, token } from '../../wire/frame.ts'
import type { Sink, Wire } from '../../wire/wire.ts'
import { type Era, type Leg, type McpHeaders, type Out, type Outcome, accepted, answered, cancelled } from '../exchange.ts'
import { cancelFrame, hasId, idToken, underIdOf } from '../message.ts'
import { code, meta } from '../protocol.ts'

export const fault = faults('upstream', {
  lost: (d: { upstream: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} ended before it answered (${d.reason}): whether the call took effect is unknown`,
    hint: 'check its effect before trying again: the call was not repeated',
  }),
  unready: (d: { upstream: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} ended before it was ready (${d.reason})`,
    hint: 'the call was not sent: try again',
  }),
  gone: (d: { upstream: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the server ${d.upstream} is not there: ${d.reason}`,
    hint: 'the call was not sent: try again',
  }),
  overloaded: (d: { upstream: string; maxOpen: number }) => ({
    kind: 'limited',
    message: `${d.maxOpen} requests to ${d.upstream} are open already`,
    hint: 'wait for answers before sending more',
  }),
})

const maxOpen = 1_024
/** A server with so many questions whose answers it does not take is not read until it takes some. */
const maxWaitingAnswers = 64

/** JSON-RPC ids tell answers apart, so two open requests of one client cannot have the same. */
export const idInUse = (key: string): Outcome => ({
  is: 'refused',
  reason: `the id ${key} is in use by an open request`,
  code: code.invalidRequest,
})

/** Notifications that no request asked for by itself: they go to the side stream when somebody listens there. */
const unrelated = new Set([
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/resources/updated',
])

type Open = {
  readonly frame: Frame
  readonly out: Sink
  readonly progressToken: string | undefined
  readonly settle: (outcome: Outcome) => void
}

class WireLeg implements Leg {
  readonly era: Era
  readonly tellsApart = false
  readonly ended: Promise<string>
  readonly #wire: Wire
  readonly #name: string
  readonly #side: Sink
  readonly #open = new Map<string, Open>()
  readonly #byProgress = new Map<string, Open>()
  /** Questions of the server that wait for an answer, and who was asked; the newest last. */
  readonly #askers = new Map<string, Open>()
  #blocked: Sink | undefined
  #full: Promise<void> | undefined
  /** What waits in `send` for the server to read. */
  #waiting = 0
  #isOver: string | undefined
  #isListening = false

  constructor(wire: Wire, era: Era, name: string, side: Sink) {
    this.#wire = wire
    this.era = era
    this.#name = name
    this.#side = side
    this.ended = wire.ended.then((end) => this.#finish('problem' in end ? `${end.why}: ${end.problem}` : end.why))
    wire.read({
      write: (frame) => this.#arrive(frame),
      room: async () => {
        await this.#blocked?.room()
        this.#blocked = undefined
      },
    })
  }

  async request(frame: Frame, _headers: McpHeaders, out: Out, abort: AbortSignal): Promise<Outcome> {
    while (this.#full) await this.#full
    if (this.#isOver !== undefined) return { is: 'notSent', fault: fault.gone({ upstream: this.#name, reason: this.#isOver }) }
    if (this.#open.size >= maxOpen) return { is: 'notSent', fault: fault.overloaded({ upstream: this.#name, maxOpen }) }
    const key = idKey(frame, frame.at.id!)
    if (this.#open.has(key)) return idInUse(key)
    if (abort.aborted) return cancelled
    return new Promise((resolve) => {
      const progressToken = frame.at.progressToken && token(frame, frame.at.progressToken)
      const onAbort = (): void => {
        this.#wire.write(cancelFrame(idToken(frame)))
        settle(cancelled)
      }
      const settle = (outcome: Outcome): void => {
        this.#open.delete(key)
        if (progressToken !== undefined) this.#byProgress.delete(progressToken)
        if (this.#askers.size > 0) this.#forgetQuestions(open)
        abort.removeEventListener('abort', onAbort)
        resolve(outcome)
      }
      const open: Open = { frame, out, progressToken, settle }
      this.#open.set(key, open)
      if (progressToken !== undefined) this.#byProgress.set(progressToken, open)
      abort.addEventListener('abort', onAbort, { once: true })
      if (!this.#wire.write(frame)) this.#waitForRoom()
    })
  }

  /** A server that reads slowly holds up who writes to it, not our memory. */
  #waitForRoom(): void {
    this.#full ??= this.#wire.room().then(() => {
      this.#full = undefined
    })
  }

  async send(frame: Frame): Promise<Outcome> {
    if (this.#isOver !== undefined) return { is: 'notSent', fault: fault.gone({ upstream: this.#name, reason: this.#isOver }) }
    this.#waiting++
    while (this.#full) await this.#full
    this.#waiting--
    if (!this.#wire.write(frame)) this.#waitForRoom()
    if (frame.kind !== 'notification' && frame.at.id) this.#askers.delete(idKey(frame, frame.at.id))
    if (frame.method === 'notifications/cancelled' && frame.at.requestId) {
      const open = this.#open.get(idKey(frame, frame.at.requestId))
      if (open && open.frame.method !== 'initialize') open.settle(cancelled)
    }
    return accepted
  }

  async listen(): Promise<boolean> {
    this.#isListening = true
    return true
  }

  close(): Promise<void> {
    return this.#wire.close()
  }

  #arrive(frame: Frame): boolean {
    if (frame.kind === 'result' || frame.kind === 'error') {
      const open = this.#answered(frame)
      if (!open) return true // cancelled meanwhile, or an answer to nothing
      try {
        open.out.write(underIdOf(open.frame, frame))
        open.settle(answered)
      } catch (error) {
        // Whoever waits for it could not take it: that is between the two, and no matter of the others on this wire.
        open.settle({ is: 'unknown', fault: fault.lost({ upstream: this.#name, reason: reasonOf(error) }, error) })
      }
      return true
    }
    const sink = this.#belongsTo(frame)
    const hasRoom = !sink || sink.write(frame)
    if (hasRoom && (frame.kind !== 'request' || this.#waiting < maxWaitingAnswers)) return true
    this.#blocked = hasRoom ? { write: () => false, room: () => this.#full ?? Promise.resolve() } : sink
    return false
  }

  /** The request that this answers. An error without an id answers what the server could not read, or was too large to be read here: certain if one is open. */
  #answered(frame: Frame): Open | undefined {
    if (hasId(frame)) return this.#open.get(idKey(frame, frame.at.id!))
    return this.#open.size === 1 ? this.#open.values().next().value : undefined
  }

  #belongsTo(frame: Frame): Sink | undefined {
    if (frame.at.progressToken && frame.method === 'notifications/progress')
      return this.#byProgress.get(token(frame, frame.at.progressToken))?.out
    const subscription = frame.at.inMeta?.[meta.subscriptionId]
    if (subscription) return this.#open.get(idKey(frame, subscription))?.out
    if (this.era === 'modern') {
      const asked = [...this.#open.values()].filter((open) => open.frame.at.inMeta?.[meta.logLevel])
      return asked.length === 1 ? asked[0]!.out : undefined
    }
    if (this.#isListening && unrelated.has(frame.method!)) return this.#side
    const open = this.#likely()
    if (!open) return this.#side
    if (frame.kind === 'request') this.#asks(frame, open)
    return open.out
  }

  /**
   * A wire does not say which request a server's message goes with, except by progress token and subscription id. With one request open it is that one's; one
   * that waits for its client's answer is not busy, so it is not taken for the speaker while another is. With several busy it goes to the side stream when
   * somebody listens there, else to the newest.
   */
  #likely(): Open | undefined {
    if (this.#open.size <= 1) return this.#open.values().next().value
    const askers = new Set(this.#askers.values())
    const busy = [...this.#open.values()].filter((open) => !askers.has(open))
    if (busy.length > 1) return this.#isListening ? undefined : busy.at(-1)
    return busy[0] ?? [...askers].at(-1)
  }

  /** Only the newest are remembered: who asks without end loses nothing by it but being told apart. */
  #asks(question: Frame, open: Open): void {
    this.#askers.set(idKey(question, question.at.id!), open)
    if (this.#askers.size > maxOpen) this.#askers.delete(this.#askers.keys().next().value!)
  }

  #forgetQuestions(open: Open): void {
    for (const [question, asker] of this.#askers) if (asker === open) this.#askers.delete(question)
  }

  #finish(reason: string): string {
    this.#isOver = reason
    for (const open of this.#open.values()) open.settle({ is: 'unknown', fault: fault.lost({ upstream: this.#name, reason }) })
    return reason
  }
}

/** A leg on a wire whose other end is an MCP server. `name` is for people; frames that belong to no request go to `side`. */
export function wireLeg(wire: Wire, era: Era, name: string, side: Sink): Leg {
  return new WireLeg(wire, era, name, side)
}
