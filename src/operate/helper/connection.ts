// One connection to the helper: its requests at work, the answers, and what is refused before anybody looks at what it means.
import { type Fault, asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { errorFrame, idToken, paramsOf, resultFrame } from '../../base/mcp/message.ts'
import { badLineAnswer } from '../../base/wire/bad-line.ts'
import { type Frame, idKey } from '../../base/wire/frame.ts'
import { unclearName } from '../../base/wire/locate.ts'
import { rescan } from '../../base/wire/scan.ts'
import type { Sink, Wire } from '../../base/wire/wire.ts'
import { fault } from '../faults.ts'
import { pingMethod } from './api.ts'
import type { Operations } from './operations.ts'
import type { HelperRecord } from './record.ts'

/** Whoever sends so many lines that are no requests is cut off. */
const maxRefused = 64

export type ConnectionNeeds = { readonly operations: Operations; readonly record: HelperRecord; readonly log: Log }

/** An error answer that the other side makes the same fault of. */
export function faultFrame(id: string, { kind, code, message, hint, details }: Fault): Frame {
  return errorFrame(id, outside[kind].rpcCode, message, {
    code,
    kind,
    ...(hint === undefined ? {} : { hint }),
    ...(kind === 'bug' ? {} : { details }),
  })
}

export class HelperConnection implements Sink {
  readonly #needs: ConnectionNeeds
  readonly #wire: Wire
  readonly #number: number
  readonly #maxCalls: number
  readonly #atWork = new Map<string, AbortController>()
  readonly #waiting: (() => void)[] = []
  #refused = 0

  constructor(needs: ConnectionNeeds, wire: Wire, number: number, maxCalls: number) {
    this.#needs = needs
    this.#wire = wire
    this.#number = number
    this.#maxCalls = maxCalls
    void wire.ended.then(() => this.#left())
    wire.read(this)
  }

  get calls(): number {
    return this.#atWork.size
  }

  close(): Promise<void> {
    return this.#wire.close()
  }

  write(frame: Frame): boolean {
    if (frame.kind === 'request') this.#request(frame)
    else if (frame.kind === 'notification' && frame.method === 'notifications/cancelled' && frame.at.requestId)
      this.#atWork.get(idKey(frame, frame.at.requestId))?.abort(new Error('nobody waits for it any more'))
    else void this.#refuse(fault.bad_request({ problem: `a ${frame.kind} that is none of cancelled` }))
    return this.#atWork.size < this.#maxCalls
  }

  room(): Promise<void> {
    if (this.#atWork.size < this.#maxCalls) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** As `LinesOptions.onBadLine`. */
  badLine(problem: Fault): 'skip' | 'end' {
    void this.#refuse(problem)
    this.#wire.write(badLineAnswer(problem))
    return this.#refused < maxRefused ? 'skip' : 'end'
  }

  async #refuse({ code, message }: Fault): Promise<void> {
    if (++this.#refused > maxRefused) return
    await this.#needs.record.refused(this.#number, code, message)
    if (this.#refused === maxRefused) await this.#wire.close()
  }

  #answerRefused(id: string, problem: Fault): void {
    this.#wire.write(faultFrame(id, problem))
    void this.#refuse(problem)
  }

  #request(frame: Frame): void {
    const id = idToken(frame)
    if (frame.method === pingMethod) return void this.#wire.write(resultFrame(id, {}))
    const key = idKey(frame, frame.at.id!)
    if (this.#atWork.has(key)) return this.#answerRefused('null', fault.bad_request({ problem: 'an id that is in use' }))
    const params = paramsOf(frame)
    const unclear = frame.at.params && unclearName(frame.bytes, frame.at.params, params)
    if (unclear !== undefined)
      return this.#answerRefused(
        id,
        fault.bad_request({ problem: `${JSON.stringify(unclear.slice(0, 64))} can be understood in two ways` }),
      )
    const stop = new AbortController()
    this.#atWork.set(key, stop)
    void this.#perform(frame, params, id, stop.signal).finally(() => {
      this.#atWork.delete(key)
      for (const resolve of this.#waiting.splice(0)) resolve()
    })
  }

  async #perform(frame: Frame, params: object, id: string, signal: AbortSignal): Promise<void> {
    const afterwards: (() => void)[] = []
    const span = frame.at.arguments
    try {
      const answer = await this.#needs.operations.perform({
        link: this.#number,
        method: frame.method!,
        params,
        arguments: span && frame.bytes.subarray(...span),
        signal,
        progress: (done, total, message) => this.#progress(id, done, total, message),
        afterReply: (act) => void afterwards.push(act),
      })
      this.#wire.write(resultFrame(id, answer))
      await this.#wire.room()
      for (const act of afterwards) setImmediate(act)
    } catch (error) {
      const failure = asFault(error)
      if (failure.kind === 'bug') this.#needs.log.error('helper.bug', { tool: frame.method, error: failure.cause ?? failure })
      this.#wire.write(faultFrame(id, failure))
    }
  }

  #progress(id: string, progress: number, total: number | undefined, message: string | undefined): void {
    const params = `"progressToken":${id},"progress":${progress}${total === undefined ? '' : `,"total":${total}`}${message === undefined ? '' : `,"message":${JSON.stringify(message)}`}`
    this.#wire.write(rescan(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/progress","params":{${params}}}`)))
  }

  #left(): void {
    for (const stop of this.#atWork.values()) stop.abort(new Error('whoever asked has left'))
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
