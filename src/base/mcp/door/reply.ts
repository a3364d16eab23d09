// The answer to one POST: one JSON body when the answer comes first, an event stream as soon as anything comes before it.
import type { ServerResponse } from 'node:http'
import type { Frame } from '../../wire/frame.ts'
import { type EventStream, type SessionStreams, type StreamBudget, streamHeaders } from './event-stream.ts'
import type { Out, Outcome } from '../exchange.ts'
import { errorOf, problemFrame } from '../message.ts'
import { statusOf } from '../protocol.ts'
import { eventOf, keepAliveComment } from './sse.ts'

/** After this long without a frame the client gets response headers and a comment, so that nothing on the way gives up on it. */
const quietMs = 15_000

/** Where the frames of one POST go: one JSON body when the answer comes first, an event stream as soon as anything comes before it. */
export class Reply implements Out {
  readonly #response: ServerResponse
  readonly #budget: StreamBudget
  readonly #streams: SessionStreams | undefined
  readonly #primes: boolean
  #stayQuiet: (() => void) | undefined
  headers: Record<string, string> = {}
  readonly streaming = { begin: (): void => this.#start(), hangUp: (retryMs: number): void => this.#stream?.hangUp(retryMs) }
  #answer: Frame | undefined
  #isAnswered = false
  #stream: EventStream | undefined
  #isStreaming = false

  constructor(response: ServerResponse, budget: StreamBudget, streams: SessionStreams | undefined, primes = false) {
    this.#response = response
    this.#budget = budget
    this.#streams = streams
    this.#primes = primes
  }

  /** Begins a stream when there is nothing to say for too long. */
  keepAwake(): void {
    this.#stayQuiet = this.#budget.clock.after(quietMs, () => this.#keepAlive())
  }

  write(frame: Frame): boolean {
    const isAnswer = frame.kind === 'result' || frame.kind === 'error'
    if (isAnswer && this.#isAnswered) return true // a request is answered once, whatever happens afterwards
    if (isAnswer) this.#isAnswered = true
    if (isAnswer && !this.#isStreaming) {
      this.#answer = frame
      return true
    }
    this.#start()
    if (this.#stream) return this.#stream.write(frame)
    return this.#budget.write(this.#response, eventOf(frame.bytes))
  }

  room(): Promise<void> {
    return this.#stream ? this.#stream.room() : this.#budget.room(this.#response)
  }

  /** Says how it ended: the answer that was kept back, or an error in its place. */
  finish(request: Frame, outcome: Outcome): void {
    this.#stayQuiet?.()
    const problem = problemFrame(request, outcome)
    if (this.#isStreaming) {
      if (problem) this.write(problem)
      if (this.#stream) this.#stream.end()
      else this.#budget.end(this.#response)
      return
    }
    if (this.#response.destroyed) return
    if (problem) return send(this.#budget, this.#response, problemStatus(request, outcome), problem.bytes, this.headers)
    if (this.#answer) {
      const status = statusFor(outcome, this.#answer, this.#streams === undefined)
      return send(this.#budget, this.#response, status, this.#answer.bytes, this.headers)
    }
    if (outcome.is === 'accepted') return void this.#response.writeHead(202, this.headers).end()
    this.#response.writeHead(200, { ...streamHeaders, ...this.headers }).end() // cancelled: an event stream without events
  }

  #start(): void {
    if (this.#isStreaming) return
    this.#isStreaming = true
    if (this.#streams) {
      this.#stream = this.#streams.create()
      this.#stream.attach(this.#response, 0, this.headers, this.#primes)
    } else this.#response.writeHead(200, { ...streamHeaders, ...this.headers })
  }

  #keepAlive(): void {
    if (this.#response.destroyed) return
    this.#start()
    if (this.#stream) return
    this.#budget.write(this.#response, keepAliveComment)
    this.#budget.keepAwake(this.#response)
  }
}

/** A refused request is answered in band; what has no id to answer to gets an HTTP status. */
function problemStatus(request: Frame, outcome: Outcome): number {
  if (outcome.is === 'refused' && outcome.status !== undefined) return outcome.status
  return request.kind === 'request' ? 200 : 400
}

/** A modern error that a server made before its handler ran has a status of its own; over stdio only its code tells. */
function statusFor(outcome: Outcome, answer: Frame, isModern: boolean): number {
  if (outcome.is === 'answered' && outcome.status !== undefined) return outcome.status
  return isModern && answer.kind === 'error' ? statusOf(errorOf(answer).code) : 200
}

/** One JSON body. */
export function send(
  budget: StreamBudget,
  response: ServerResponse,
  status: number,
  body: Uint8Array,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': body.length })
  budget.end(response, body)
}
