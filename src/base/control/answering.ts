// Answers requests for a daemon's operations: who asks, what for, may they, and what the handler says.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { Fault, asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { answerJson } from '../http/answer.ts'
import type { About, Api, Call, Caller, Handlers, Privilege, Saying } from './api.ts'
import { inputOf, uploadOf } from './body.ts'
import { fault } from './faults.ts'
import { type StreamAnswer, streamAnswer } from './stream.ts'

/** After a refusal, what a client still sends is read past for so long, so that it gets to read the refusal. */
const lingerMs = 2_000

/** What is called, for those who decide on it and those who write it down. */
export type Called = { readonly operation: string; readonly privilege: Privilege; readonly input: unknown }

/** Somebody who was let in. `authorize` throws a fault for what they may not call. */
export type Admitted = { readonly caller: Caller; authorize(called: Called): void }

/** Says who calls. Its faults become the client's. */
export type Admit = (request: IncomingMessage) => Promise<Admitted>

/** Writes down who called what. */
export interface CallRecord {
  /** Before anything is done: a fault refuses the call. What it answers is called once with how the call ended: `done`, or the code of its fault. */
  begin(caller: Caller, called: Called): Promise<(outcome: string) => Promise<void>>
  /** A call that did not come so far. `caller` is undefined where nobody could be told. */
  refused(request: IncomingMessage, caller: Caller | undefined, code: string): void
}

/** What a daemon does, and what all its doors have in common. */
export type ControlNeeds<A extends Api> = {
  readonly api: A
  readonly handlers: Handlers<A>
  readonly record?: CallRecord | undefined
  readonly clock: Clock
  readonly log: Log
}

/** One door: what is offered there, to whom, and what else is answered there, by `POST` and path, with its own way to tell who may. */
export type ControlDoor = {
  readonly about: About
  readonly admit: Admit
  readonly others?: Readonly<Record<string, (request: IncomingMessage) => Promise<unknown>>> | undefined
}

export interface Answering {
  take(request: IncomingMessage, response: ServerResponse): void
  /** Asks what is being answered to end. */
  stop(): void
}

type Handler = (input: unknown, call: Call & Partial<Saying<unknown>>) => Promise<unknown>
type Needs = Omit<ControlNeeds<Api>, 'handlers'> & { readonly handlers: Readonly<Record<string, Handler>> }

/** Answers what comes in by one door. Bounded in time and memory but for what handlers do; never throws. */
export function answering<A extends Api>(given: ControlNeeds<A>, door: ControlDoor): Answering {
  const needs = given as unknown as Needs // each handler gets what its own operation says
  const underway = new Set<AbortController>()
  return {
    take(request, response) {
      request.on('error', () => {})
      response.on('error', () => {})
      const ended = new AbortController()
      underway.add(ended)
      response.once('close', () => {
        underway.delete(ended)
        if (!response.writableFinished) ended.abort(fault.client_gone({}))
      })
      void answer(needs, door, { request, response, ended }).catch((error: unknown) => refuse(needs, door, request, response, error))
    },
    stop() {
      for (const ended of underway) ended.abort(fault.stopping({ daemon: door.about.daemon }))
    },
  }
}

type Asked = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly ended: AbortController }

async function answer(needs: Needs, door: ControlDoor, asked: Asked): Promise<void> {
  const { request, response, ended } = asked
  const { method, url = '' } = request
  const other = method === 'POST' && Object.hasOwn(door.others ?? {}, url) ? door.others![url]! : undefined
  if (other) return answerJson(response, 200, await other(request))
  let admitted: Admitted | undefined
  let call: { readonly called: Called; readonly upload?: AsyncIterable<Uint8Array> }
  try {
    admitted = await door.admit(request)
    if (method === 'GET' && url === '/v1/about') return answerJson(response, 200, door.about)
    call = await calledBy(needs, door, request)
    admitted.authorize(call.called)
  } catch (error) {
    needs.record?.refused(request, admitted?.caller, asFault(error).code)
    throw error
  }
  const end = await needs.record?.begin(admitted.caller, call.called)
  const { stream: items, upload: takesBytes } = needs.api[call.called.operation]!
  const onBeat = (): void => recheck(door, request, call.called, ended)
  const stream = items || takesBytes ? streamAnswer(response, needs.clock, onBeat) : undefined
  const outcome = await outcomeOf(needs, { ...call, caller: admitted.caller }, stream, ended.signal)
  await end?.('error' in outcome ? asFault(outcome.error).code : 'done')
  if (!stream) {
    if ('error' in outcome) throw outcome.error
    return answerJson(response, 200, outcome.result)
  }
  if (!('error' in outcome)) return stream.end(outcome)
  stream.leave()
  if (!stream.isBegun) throw outcome.error
  stream.end({ error: toldOf(needs, door, outcome.error) })
}

async function calledBy(
  { api, clock }: Needs,
  { about }: ControlDoor,
  request: IncomingMessage,
): Promise<{ readonly called: Called; readonly upload?: AsyncIterable<Uint8Array> }> {
  const { method, url = '' } = request
  const operation = /^\/v1\/([a-z][a-z-]*)$/.exec(url)?.[1]
  if (method !== 'POST' || operation === undefined || !about.operations.includes(operation)) throw fault.unknown_operation({ path: url })
  const { privilege, input, upload } = api[operation]!
  const body = upload ? await uploadOf({ request, clock }) : { input: await inputOf({ request, clock }) }
  const given = input.safeParse(body.input)
  if (!given.success) throw fault.bad_input({ problem: given.error.issues[0]?.message ?? 'unreadable' })
  return { ...body, called: { operation, privilege, input: given.data } }
}

type Outcome = { readonly result: unknown } | { readonly error: unknown }

async function outcomeOf(
  { handlers }: Needs,
  { called, ...about }: { readonly called: Called; readonly caller: Caller; readonly upload?: AsyncIterable<Uint8Array> },
  stream: StreamAnswer | undefined,
  signal: AbortSignal,
): Promise<Outcome> {
  const say = async (item: unknown): Promise<void> => {
    signal.throwIfAborted()
    await stream?.say(item)
  }
  try {
    const result = await handlers[called.operation]!(called.input, { ...about, signal, say })
    return isShutOut(signal) ? { error: signal.reason } : { result }
  } catch (error) {
    return { error: isAbort(error) && signal.aborted ? (signal.reason as unknown) : error }
  }
}

/** Who may call no longer is told no more, were it the result. */
function recheck({ admit }: ControlDoor, request: IncomingMessage, called: Called, ended: AbortController): void {
  admit(request)
    .then((admitted) => admitted.authorize(called))
    .catch((error: unknown) => ended.abort(asFault(error)))
}

function isShutOut({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof Fault && (reason.kind === 'unauthenticated' || reason.kind === 'denied')
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function toldOf({ log }: Needs, { about }: ControlDoor, error: unknown): Fault {
  const known = asFault(error)
  if (known.kind === 'bug') log.error('control.defect', { daemon: about.daemon, error })
  return known
}

function refuse(needs: Needs, door: ControlDoor, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const known = toldOf(needs, door, error)
  if (response.destroyed) return
  answerJson(response, outside[known.kind].httpStatus, { error: known })
  if (!request.complete) needs.clock.after(lingerMs, () => request.complete || request.destroy())
}
