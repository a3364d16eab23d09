// The approval layer: a call of a tool that is marked so is forwarded only after a person's yes to exactly that call, and refused without one.
import { hash } from 'node:crypto'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
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
import type { Approvals, Waiting } from './approvals.ts'
import { type AskedCall, type Decided, callKey } from './asked.ts'
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

const clientSaidNo: Decided = { is: 'denied', reason: "the client's user did not say yes" }
const clientSaidYes: Decided = { is: 'granted', by: 'client', how: 'once' }

export function approvalLayer(needs: ApprovalNeeds): Layer {
  const desk = new Desk(needs)
  return (next) => (exchange, out) => {
    const { frame, principal } = exchange
    if (frame.kind !== 'request') {
      const heard = desk.hear(exchange)
      if (heard instanceof Promise) return heard.then((isOurs) => (isOurs ? accepted : next(exchange, out)))
      return heard ? Promise.resolve(accepted) : next(exchange, out)
    }
    const tool = frame.method === 'tools/call' ? stringAt(frame, frame.at.name) : undefined
    return tool !== undefined && needs.isMarked(principal.name, tool) ? desk.pass(exchange, out, next, tool) : next(exchange, out)
  }
}

class Desk {
  readonly #needs: ApprovalNeeds

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
      const earlier = await approvals.holds(passing.key, session?.id)
      if (earlier === undefined) return await this.#ask(passing)
      await this.#needs.record('approval.used', exchange, { approval: earlier })
      return await this.#forward(passing, exchange, earlier)
    } catch (error) {
      const reason = asFault(error)
      if (reason.code.startsWith('kv.')) return this.#refuse(passing, `nobody can be asked (${reason.message})`)
      if (!reason.code.startsWith('ledger.')) throw error
      return { is: 'notSent', fault: fault.unrecorded({ reason: reason.message }, error) }
    }
  }

  async #ask(passing: Passing): Promise<Outcome> {
    const { exchange, out, call } = passing
    const { approvals, mayAskClient, record, log } = this.#needs
    const capabilities = exchange.session?.capabilities ?? capabilitiesOf(exchange.frame)
    const isAsked = mayAskClient && canBeAsked(capabilities, questionFrame('', call))
    const isSentBack = isAsked && exchange.era === 'modern'
    const waiting = await approvals.ask(call, { called: calledKey(exchange, idKey(exchange.frame, exchange.frame.at.id!)), isSentBack })
    if (!waiting) return this.#refuse(passing, 'too many calls wait for one already')
    const { id, token } = waiting
    try {
      await record('approval.asked', exchange, { approval: id })
    } catch (error) {
      await waiting.settle({ is: 'withdrawn' })
      throw error
    }
    log.warn('gate.approval.asked', { approval: id, principal: call.principal, upstream: call.upstream, tool: call.tool })
    if (isSentBack) {
      out.write(questionResult(exchange.frame, token, call))
      return answered
    }
    return this.#await(passing, waiting, isAsked)
  }

  /** Waits for a decision: by the client's user, if it was asked, or by somebody on the machine. */
  async #await(passing: Passing, waiting: Waiting, isAsked: boolean): Promise<Outcome> {
    const { exchange, out, call } = passing
    const { abort } = exchange
    const withdraw = (): void => void waiting.settle({ is: 'withdrawn' })
    abort.addEventListener('abort', withdraw, { once: true })
    if (abort.aborted) withdraw()
    try {
      if (isAsked) out.write(questionFrame(waiting.token, call))
      return await this.#conclude(passing, exchange, waiting.id, await waiting.decided)
    } finally {
      abort.removeEventListener('abort', withdraw)
    }
  }

  /** A modern client comes back with what its user said, to whichever gate; what was said on a machine meanwhile comes first. */
  async #resume(passing: Passing, { state, saidYes: isYes }: NonNullable<ReturnType<typeof comingBack>>): Promise<Outcome> {
    const { exchange, call } = passing
    // Whoever changed a byte of the call, or is somebody else, has a state that is none.
    const resumed = await this.#needs.approvals.resume(call, state, isYes ? clientSaidYes : clientSaidNo)
    if (!resumed) return this.#refuse(passing, 'this is not the call that was asked about, or its time is over')
    return this.#conclude(passing, { ...exchange, frame: withoutQuestion(exchange.frame) }, resumed.id, resumed.decided)
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
  hear(exchange: Exchange): boolean | Promise<boolean> {
    const { frame, principal, session } = exchange
    const { approvals } = this.#needs
    if (frame.method === 'notifications/cancelled')
      return frame.at.requestId !== undefined && approvals.withdraw(calledKey(exchange, idKey(frame, frame.at.requestId)))
    const token = frame.method === undefined ? stringAt(frame, frame.at.id) : undefined
    if (token === undefined || !approvals.isToken(token)) return false
    const isYes = saidYes(frame)
    const said = isYes === undefined ? undefined : isYes ? clientSaidYes : clientSaidNo
    return approvals.answered({ principal: principal.name, session: session?.id }, token, said)
  }
}

/** An id is one only within its session. */
function calledKey({ principal, session }: Exchange, id: string): string {
  return hash('sha256', JSON.stringify([principal.name, session?.id ?? '', id]), 'base64url')
}
