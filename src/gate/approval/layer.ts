// The approval layer: a call of a tool that is marked so is forwarded only after a person's yes to exactly that call, and refused without one.
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { randomId } from '../../kernel/random.ts'
import {
  type Exchange,
  type Handler,
  type Layer,
  type Out,
  type Outcome,
  accepted,
  answered,
  cancelled,
  through,
} from '../../base/mcp/exchange.ts'
import { capabilitiesOf } from '../../base/mcp/modern.ts'
import { idKey, stringAt } from '../../base/wire/frame.ts'
import { fault } from '../faults.ts'
import { type Approvals, type AskedCall, type Decided, type Waiting, callKey } from './approvals.ts'
import { canBeAsked, comingBack, questionFrame, questionResult, saidYes, withoutQuestion } from './question.ts'

export type ApprovalNeeds = {
  readonly approvals: Approvals
  readonly upstream: string
  readonly log: Log
  /** True for calls that need a yes. */
  isMarked(principal: string, tool: string): boolean
  /** Whether the client's own user may give it, where the client can ask; else only who uses the machine. */
  readonly mayAskClient: boolean
  /** Writes down what was asked and decided; a yes that cannot be recorded is none. */
  record(event: string, exchange: Exchange, more: Readonly<Record<string, unknown>>): Promise<void>
  /** Records the refusal before the client hears of it. */
  refused(exchange: Exchange, reason: string): Promise<void>
}

/** One call under way through the layer. */
type Passing = { readonly exchange: Exchange; readonly out: Out; readonly next: Handler; readonly call: AskedCall; readonly key: string }

/** Calls that were sent back to modern clients with a question; the oldest are forgotten. */
const maxSentBack = 1_024

const clientSaidNo: Decided = { is: 'denied', reason: "the client's user did not say yes" }
const clientSaidYes: Decided = { is: 'granted', by: 'client', how: 'once' }

export function approvalLayer(needs: ApprovalNeeds): Layer {
  const desk = new Desk(needs)
  return (next) => (exchange, out) => {
    const { frame, principal } = exchange
    if (frame.kind !== 'request') return desk.hear(exchange) ? Promise.resolve(accepted) : next(exchange, out)
    const tool = frame.method === 'tools/call' ? stringAt(frame, frame.at.name) : undefined
    return tool !== undefined && needs.isMarked(principal.name, tool) ? desk.pass(exchange, out, next, tool) : next(exchange, out)
  }
}

class Desk {
  readonly #needs: ApprovalNeeds
  /** What legacy clients were asked, by whose session and which id. */
  readonly #questions = new Map<string, Waiting>()
  /** Calls of legacy clients, which cancel by a message, in the same way. */
  readonly #calls = new Map<string, Waiting>()
  readonly #sentBack = new Map<string, Waiting>()

  constructor(needs: ApprovalNeeds) {
    this.#needs = needs
  }

  /** A call that needs a yes. */
  async pass(exchange: Exchange, out: Out, next: Handler, tool: string): Promise<Outcome> {
    const { frame, principal, session } = exchange
    const { approvals, upstream } = this.#needs
    const bytes = frame.at.arguments ? frame.bytes.subarray(...frame.at.arguments) : new Uint8Array()
    const call = { principal: principal.name, upstream, tool, arguments: bytes, session: session?.id }
    const passing: Passing = { exchange, out, next, call, key: callKey(call) }
    try {
      const back = comingBack(frame)
      if (back) return await this.#resume(passing, back)
      const earlier = approvals.holds(passing.key, session?.id)
      if (earlier === undefined) return await this.#ask(passing)
      await this.#needs.record('approval.used', exchange, { approval: earlier })
      return await this.#forward(passing, exchange, earlier)
    } catch (error) {
      const reason = asFault(error)
      if (!reason.code.startsWith('ledger.')) throw error
      return { is: 'notSent', fault: fault.unrecorded({ reason: reason.message }, error) }
    }
  }

  async #ask(passing: Passing): Promise<Outcome> {
    const { exchange, out, call } = passing
    const { approvals, mayAskClient, record, log } = this.#needs
    const waiting = approvals.ask(call)
    if (!waiting) return this.#refuse(passing, 'too many calls wait for one already')
    const { id } = waiting
    try {
      await record('approval.asked', exchange, { approval: id })
    } catch (error) {
      waiting.settle({ is: 'withdrawn' })
      throw error
    }
    log.warn('gate.approval.asked', { approval: id, principal: call.principal, upstream: call.upstream, tool: call.tool })
    const question = questionFrame(`${id}-${randomId(12)}`, call)
    const capabilities = exchange.session?.capabilities ?? capabilitiesOf(exchange.frame)
    const isAsked = mayAskClient && canBeAsked(capabilities, question)
    if (isAsked && exchange.era === 'modern') {
      const state = randomId(24)
      if (this.#sentBack.size >= maxSentBack) this.#sentBack.delete(this.#sentBack.keys().next().value!)
      this.#sentBack.set(state, waiting)
      out.write(questionResult(exchange.frame, state, call))
      return answered
    }
    return this.#await(passing, waiting, isAsked ? question : undefined)
  }

  /** Waits for a decision: by the client's user, if it was asked, or by somebody on the machine. */
  async #await(passing: Passing, waiting: Waiting, question: ReturnType<typeof questionFrame> | undefined): Promise<Outcome> {
    const { exchange, out } = passing
    const { frame, abort } = exchange
    const asked = question && keyIn(exchange, idKey(question, question.at.id!))
    const called = keyIn(exchange, idKey(frame, frame.at.id!))
    const withdraw = (): void => waiting.settle({ is: 'withdrawn' })
    abort.addEventListener('abort', withdraw, { once: true })
    if (abort.aborted) withdraw()
    this.#calls.set(called, waiting)
    if (asked !== undefined) this.#questions.set(asked, waiting)
    try {
      if (question) out.write(question)
      return await this.#conclude(passing, exchange, waiting.id, await waiting.decided)
    } finally {
      abort.removeEventListener('abort', withdraw)
      this.#calls.delete(called)
      if (asked !== undefined) this.#questions.delete(asked)
    }
  }

  /** A modern client comes back with what its user said; what was said on the machine meanwhile comes first. */
  async #resume(passing: Passing, { state, saidYes: isYes }: NonNullable<ReturnType<typeof comingBack>>): Promise<Outcome> {
    const { exchange, key } = passing
    const waiting = this.#sentBack.get(state)
    // Whoever changed a byte of the call, or is somebody else, has a state that is none.
    if (waiting?.key !== key) return this.#refuse(passing, 'this is not the call that was asked about, or its time is over')
    this.#sentBack.delete(state)
    waiting.settle(isYes ? clientSaidYes : clientSaidNo)
    return this.#conclude(passing, { ...exchange, frame: withoutQuestion(exchange.frame) }, waiting.id, await waiting.decided)
  }

  async #conclude(passing: Passing, exchange: Exchange, id: string, decided: Decided): Promise<Outcome> {
    if (decided.is === 'withdrawn') {
      await this.#needs.record('approval.withdrawn', exchange, { approval: id })
      return cancelled
    }
    if (decided.is === 'denied') {
      await this.#needs.record('approval.denied', exchange, { approval: id })
      return this.#refuse(passing, decided.reason)
    }
    await this.#needs.record('approval.granted', exchange, { approval: id, by: decided.by, how: decided.how })
    return this.#forward(passing, exchange, id)
  }

  #forward({ out, next, key }: Passing, exchange: Exchange, id: string): Promise<Outcome> {
    const { approvals } = this.#needs
    return next(
      exchange,
      through(out, (incoming) => {
        if (stringAt(incoming, incoming.at.resultType) === 'input_required') approvals.mayContinue(key, id)
        return out.write(incoming)
      }),
    )
  }

  async #refuse({ exchange, call }: Passing, why: string): Promise<Outcome> {
    const reason = `${call.tool} of ${call.upstream} needs a person's yes: ${why}`
    await this.#needs.refused(exchange, reason)
    return { is: 'refused', reason, data: { code: 'gate.not_approved' } }
  }

  /** An answer to a question of ours, or the end of a call that waits: true when it is nobody else's. */
  hear(exchange: Exchange): boolean {
    const { frame } = exchange
    if (frame.method === 'notifications/cancelled') {
      const waiting = frame.at.requestId && this.#calls.get(keyIn(exchange, idKey(frame, frame.at.requestId)))
      waiting?.settle({ is: 'withdrawn' })
      return waiting !== undefined
    }
    const key = frame.at.id && keyIn(exchange, idKey(frame, frame.at.id))
    const waiting = key === undefined || frame.method !== undefined ? undefined : this.#questions.get(key)
    if (!waiting) return false
    const isYes = saidYes(frame)
    if (isYes !== undefined) waiting.settle(isYes ? clientSaidYes : clientSaidNo) // else it could not ask: somebody on the machine still may
    return true
  }
}

/** An id is one only within its session. */
function keyIn({ principal, session }: Exchange, id: string): string {
  return `${principal.name}\n${session?.id ?? ''}\n${id}`
}
