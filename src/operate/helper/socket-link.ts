// The server's link to the helper: one connection, made when it is needed and again when it was lost; many calls on it at a time.
import type { z } from 'zod'
import type { Clock } from '../../kernel/clock.ts'
import { Fault, type FaultKind, asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Call } from '../../base/mcp/tool/tool.ts'
import { cancelFrame, errorOf, paramsOf, resultOf } from '../../base/mcp/message.ts'
import { type Frame, idKey } from '../../base/wire/frame.ts'
import { connectUnix } from '../../base/wire/unix.ts'
import type { Sink, Wire } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { type HelperAnswer, pingMethod } from './api.ts'
import type { HelperLink } from './link.ts'
import type { PrivilegedTool } from './privileged.ts'

const maxPending = 1_000
/** A helper that says nothing for so long, though it was pinged, is as good as away. */
const deafMs = 600
const lookEveryMs = 200

const silent = 'it does not answer'

type Pending = {
  readonly tool: string
  readonly isChange: boolean
  readonly progress: Call['progress']
  readonly resolve: (answer: HelperAnswer) => void
  readonly reject: (problem: Fault) => void
}

type Progress = { readonly progressToken: number; readonly progress: number; readonly total?: number; readonly message?: string }

export type SocketLinkNeeds = { readonly clock: Clock; readonly log: Log }

/** A link to the helper at `socket`. */
export function socketLink(needs: SocketLinkNeeds, socket: string): HelperLink & AsyncDisposable {
  return new SocketLink(needs, socket)
}

class SocketLink implements HelperLink, AsyncDisposable {
  readonly #needs: SocketLinkNeeds
  readonly #socket: string
  #connecting: Promise<Connection> | undefined

  constructor(needs: SocketLinkNeeds, socket: string) {
    this.#needs = needs
    this.#socket = socket
  }

  async ask<In extends z.ZodObject, Out extends z.ZodObject>(
    tool: PrivilegedTool<In, Out>,
    input: z.output<In>,
    call: Call,
  ): Promise<z.input<Out>> {
    const connection = await this.#connection()
    if (tool.effect === 'change') await connection.ask(pingMethod, {}, false) // a helper that hangs is found out before it has something to do
    const { principal, requestId, source, grant } = call.caller
    const params = {
      arguments: input,
      ...(grant === undefined ? {} : { grant }),
      principal: { name: principal.name, via: principal.via },
      request: requestId,
      source,
    }
    const { output, simulated } = await connection.ask(tool.name, params, tool.effect === 'change', call)
    if (simulated !== undefined) call.simulated(simulated)
    return output as z.input<Out>
  }

  async health(): Promise<{ readonly ok: boolean; readonly reason?: string }> {
    try {
      const connection = await this.#connection()
      await connection.ask(pingMethod, {}, false)
      return { ok: true }
    } catch (error) {
      return { ok: false, reason: asFault(error).message }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = await this.#connecting?.catch(() => undefined)
    await connection?.close()
  }

  #connection(): Promise<Connection> {
    this.#connecting ??= this.#connect()
    return this.#connecting
  }

  async #connect(): Promise<Connection> {
    try {
      const wire = await connectUnix(this.#socket)
      const connection = new Connection(this.#needs, wire)
      void wire.ended.then(() => {
        this.#connecting = undefined
        return wire.close()
      })
      return connection
    } catch (error) {
      this.#connecting = undefined
      throw fault.helper_away({ reason: asFault(error).message }, error)
    }
  }
}

class Connection implements Sink {
  readonly #needs: SocketLinkNeeds
  readonly #wire: Wire
  readonly #pending = new Map<string, Pending>()
  #next = 0
  #heardMs = 0
  #isDeaf = false
  #stopLooking: (() => void) | undefined

  constructor(needs: SocketLinkNeeds, wire: Wire) {
    this.#needs = needs
    this.#wire = wire
    wire.read(this)
    void wire.ended.then(() => this.#lost())
  }

  ask(method: string, params: object, isChange: boolean, call?: Pick<Call, 'signal' | 'progress'>): Promise<HelperAnswer> {
    if (this.#isDeaf) return Promise.reject(fault.helper_away({ reason: silent }))
    if (this.#pending.size >= maxPending) return Promise.reject(fault.helper_busy({ maxCalls: maxPending }))
    const id = String(++this.#next)
    return new Promise((resolve, reject) => {
      const cancel = (): void => void this.#wire.write(cancelFrame(id))
      const done = (): void => call?.signal.removeEventListener('abort', cancel)
      call?.signal.addEventListener('abort', cancel, { once: true })
      this.#pending.set(id, {
        tool: method,
        isChange,
        progress: call?.progress ?? (() => {}),
        resolve: (answer) => (done(), resolve(answer)),
        reject: (problem) => (done(), reject(problem)),
      })
      if (this.#pending.size === 1) this.#heardMs = this.#needs.clock.mono()
      this.#wire.write(requestFrame(id, method, params))
      this.#lookLater()
    })
  }

  close(): Promise<void> {
    return this.#wire.close()
  }

  write(frame: Frame): boolean {
    this.#heardMs = this.#needs.clock.mono()
    this.#isDeaf = false
    if (frame.kind === 'notification') this.#progress(frame)
    else if (frame.at.id) this.#answered(frame)
    return true
  }

  room(): Promise<void> {
    return Promise.resolve()
  }

  #answered(frame: Frame): void {
    const key = idKey(frame, frame.at.id!)
    const pending = this.#pending.get(key)
    if (!pending) return
    this.#pending.delete(key)
    const answer = resultOf(frame)
    if (answer) pending.resolve(answer as unknown as HelperAnswer)
    else pending.reject(faultOf(frame))
  }

  #progress(frame: Frame): void {
    const { progressToken, progress, total, message } = paramsOf(frame) as Progress
    this.#pending.get(String(progressToken))?.progress(progress, total, message)
  }

  /** While something is asked for, a helper that does not even answer a ping is found out. What it may have begun to change is waited for all the same. */
  #lookLater(): void {
    this.#stopLooking ??= this.#needs.clock.after(lookEveryMs, () => {
      this.#stopLooking = undefined
      if (this.#pending.size === 0 && !this.#isDeaf) return
      if (!this.#isDeaf && this.#needs.clock.mono() - this.#heardMs > deafMs) {
        this.#isDeaf = true
        this.#needs.log.warn('helper.deaf', { forMs: deafMs })
        this.#giveUp(
          ({ isChange }) => !isChange,
          () => fault.helper_away({ reason: silent }),
        )
      }
      this.#wire.write(requestFrame('0', pingMethod, {}))
      this.#lookLater()
    })
  }

  #lost(): void {
    this.#stopLooking?.()
    this.#giveUp(
      () => true,
      ({ tool, isChange }) => (isChange ? fault.helper_lost({ tool }) : fault.helper_away({ reason: 'it ended' })),
    )
  }

  #giveUp(which: (pending: Pending) => boolean, why: (pending: Pending) => Fault): void {
    for (const [id, pending] of this.#pending) {
      if (!which(pending)) continue
      this.#pending.delete(id)
      pending.reject(why(pending))
    }
  }
}

/** Only its bytes are used: a wire looks no further. */
function requestFrame(id: string, method: string, params: object): Frame {
  return {
    bytes: Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify(params)}}`),
    kind: 'request',
    method,
    at: {},
  }
}

/** The fault that the helper told of. */
function faultOf(frame: Frame): Fault {
  const { message, data } = errorOf(frame)
  const { code, kind, hint, details } = (data ?? {}) as { code?: unknown; kind?: unknown; hint?: unknown; details?: unknown }
  if (typeof code !== 'string' || typeof kind !== 'string' || !Object.hasOwn(outside, kind)) return fault.bad_request({ problem: message })
  return new Fault(
    code,
    { kind: kind as FaultKind, message, ...(typeof hint === 'string' ? { hint } : {}) },
    typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {},
  )
}
