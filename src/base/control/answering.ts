// Answers requests for a daemon's operations: who asks, what for, may they, and what the handler says.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { Fault, asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { answerJson } from '../http/answer.ts'
import type { About, Api, Call, Caller, Handlers, Operation, Saying } from './api.ts'
import { inputOf, uploadOf } from './body.ts'
import { fault } from './faults.ts'
import { streamAnswer } from './stream.ts'

/** After a refusal, what a client still sends is read past for so long, so that it gets to read the refusal. */
const lingerMs = 2_000

/** What is called, for those who decide on it and those who write it down. */
export type Called = { readonly operation: string; readonly privilege: Operation['privilege']; readonly input: unknown }

/** Says who calls and what they may. Its faults become the client's. */
export interface Admission {
  identify(request: IncomingMessage): Promise<Caller>
  authorize(caller: Caller, called: Called): void
}

export interface Answering {
  take(request: IncomingMessage, response: ServerResponse): void
  /** Asks what is being answered to end. */
  stop(): void
}

type Needs = { readonly api: Api; readonly handlers: Readonly<Record<string, Handler>>; readonly clock: Clock; readonly log: Log }
type Handler = (input: unknown, call: Call & Partial<Saying<unknown>>) => Promise<unknown>

export function answering<A extends Api>(
  given: { readonly api: A; readonly handlers: Handlers<A>; readonly clock: Clock; readonly log: Log },
  about: About,
  admission: Admission,
): Answering {
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
      void answer(needs, about, admission, { request, response, ended }).catch((error: unknown) =>
        refuse(needs, about, request, response, error),
      )
    },
    stop() {
      for (const ended of underway) ended.abort(fault.stopping({ daemon: about.daemon }))
    },
  }
}

type Asked = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly ended: AbortController }

async function answer(needs: Needs, about: About, admission: Admission, { request, response, ended }: Asked): Promise<void> {
  const { api, handlers, clock } = needs
  const { method, url = '' } = request
  const caller = await admission.identify(request)
  if (method === 'GET' && url === '/v1/about') return answerJson(response, 200, about)
  const name = /^\/v1\/([a-z][a-z-]*)$/.exec(url)?.[1]
  if (method !== 'POST' || name === undefined || !about.operations.includes(name)) throw fault.unknown_operation({ path: url })
  const operation = api[name]!
  const body = operation.upload ? await uploadOf({ request, clock }) : { input: await inputOf({ request, clock }) }
  const given = operation.input.safeParse(body.input)
  if (!given.success) throw fault.bad_input({ problem: given.error.issues[0]?.message ?? 'unreadable' })
  const called: Called = { operation: name, privilege: operation.privilege, input: given.data }
  admission.authorize(caller, called)
  const call: Call = { caller, signal: ended.signal }
  if (!operation.stream && !operation.upload) return answerJson(response, 200, await handlers[name]!(given.data, call))
  const stream = streamAnswer(response, clock, () => recheck(admission, request, called, ended))
  const say = async (item: unknown): Promise<void> => {
    call.signal.throwIfAborted()
    await stream.say(item)
  }
  try {
    const result = await handlers[name]!(given.data, { ...call, ...body, say })
    if (isShutOut(call.signal)) throw call.signal.reason
    stream.end({ result })
  } catch (error) {
    const known = isAbort(error) && call.signal.aborted ? call.signal.reason : error
    stream.leave()
    if (!stream.isBegun) throw known
    stream.end({ error: toldOf(needs.log, about.daemon, known) })
  }
}

/** Who may call no longer is told no more, were it the result. */
function recheck(admission: Admission, request: IncomingMessage, called: Called, ended: AbortController): void {
  admission
    .identify(request)
    .then((caller) => admission.authorize(caller, called))
    .catch((error: unknown) => ended.abort(asFault(error)))
}

function isShutOut({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof Fault && (reason.kind === 'unauthenticated' || reason.kind === 'denied')
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function toldOf(log: Log, daemon: string, error: unknown): Fault {
  const known = asFault(error)
  if (known.kind === 'bug') log.error('control.defect', { daemon, error })
  return known
}

function refuse({ log, clock }: Needs, { daemon }: About, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const known = toldOf(log, daemon, error)
  if (response.destroyed) return
  answerJson(response, outside[known.kind].httpStatus, { error: known })
  if (!request.complete) clock.after(lingerMs, () => request.complete || request.destroy())
}
