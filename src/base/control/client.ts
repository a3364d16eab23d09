// Calls the operations of a daemon, through one of its sockets or from another machine; its faults come back as faults.
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { Fault, outside, reasonOf } from '../../kernel/fault.ts'
import {
  type About,
  type Api,
  type CallOptions,
  type Calls,
  type Operation,
  type SocketKind,
  maxLineBytes,
  ndjsonType,
  onBehalfHeader,
  silenceMs,
} from './api.ts'
import { fault } from './faults.ts'
import { ndjsonReader } from './ndjson.ts'
import { type Way, socketWay } from './way.ts'

const defaultTimeoutMs = 10_000
const maxAnswerBytes = 64 << 20

/** A daemon as its clients see it. Every call may have the faults `control.unreachable`, `.strange_answer` and `.answer_cut`, and those of the daemon. */
export interface ControlClient<A extends Api> {
  about(signal?: AbortSignal): Promise<About>
  readonly calls: Calls<A>
}

export type ControlTarget = {
  readonly daemon: string
  /** How long a call may go without an answer; 10 s when absent. One that streams has limits of its own. */
  readonly timeoutMs?: number
} & ({ readonly folder: string; readonly privilege: SocketKind } | { readonly way: Way })

/** Nothing is opened before a call is made; each has a connection of its own. */
export function controlClient<A extends Api>(api: A, target: ControlTarget, clock: Pick<Clock, 'after'> = systemClock): ControlClient<A> {
  const { daemon, timeoutMs = defaultTimeoutMs } = target
  const way = 'way' in target ? target.way : socketWay(target.folder, target.privilege)
  const needs = { daemon, way, clock, timeoutMs }
  const calls = Object.entries(api).map(([name, operation]) => [
    name,
    async (input: unknown, options: AnyOptions = {}): Promise<unknown> => {
      const answer = await ask(needs, { method: 'POST', path: `/v1/${name}` }, operation, input, options)
      const found = operation.output.safeParse(answer)
      if (!found.success) throw fault.strange_answer({ path: way.name, problem: found.error.issues[0]?.message ?? 'unreadable' })
      return found.data
    },
  ])
  return {
    about: async (signal) => (await ask(needs, { method: 'GET', path: '/v1/about' }, {}, undefined, { signal })) as About,
    calls: Object.fromEntries(calls) as Calls<A>,
  }
}

type Needs = { readonly daemon: string; readonly way: Way; readonly clock: Pick<Clock, 'after'>; readonly timeoutMs: number }
type AnyOptions = CallOptions & {
  readonly onItem?: ((item: never) => void | Promise<void>) | undefined
  readonly upload?: AsyncIterable<Uint8Array>
}
type Asked = { readonly method: string; readonly path: string }

async function ask(needs: Needs, asked: Asked, operation: Partial<Operation>, input: unknown, options: AnyOptions): Promise<unknown> {
  const { daemon, way } = needs
  const { signal, onBehalfOf } = options
  signal?.throwIfAborted()
  const lost = (error: unknown): Error => {
    if (isTrustError(error)) return fault.untrusted({ path: way.name, reason: reasonOf(error) }, error)
    return error instanceof Fault ? error : fault.unreachable({ daemon, path: way.name, reason: reasonOf(error) }, error)
  }
  const isLong = operation.stream !== undefined || operation.upload === true
  const headers = {
    // after an upload that is refused in the middle the answer must still come through
    connection: operation.upload ? 'keep-alive' : 'close',
    ...(onBehalfOf === undefined ? {} : { [onBehalfHeader]: encodeURIComponent(onBehalfOf) }),
    ...(input === undefined ? {} : { 'content-type': operation.upload ? 'application/octet-stream' : 'application/json' }),
  }
  const request = await way.open({ ...asked, headers }).catch((error: unknown) => {
    throw lost(error)
  })
  const stop = (): void => void request.destroy(signal!.reason as Error)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const answered = responseOf(request, needs.clock, isLong ? silenceMs : needs.timeoutMs)
      .catch((error: unknown) => {
        throw lost(error)
      })
      .then((response) =>
        response.headers['content-type'] === ndjsonType ? streamed(needs, response, operation, options) : whole(needs, response),
      )
    const sent = send(request, input, options.upload)
    // a refusal may come while much is still to be sent
    return await Promise.race([answered, sent.then(() => answered)])
  } catch (error) {
    throw signal?.aborted ? signal.reason : error
  } finally {
    signal?.removeEventListener('abort', stop)
    request.destroy()
  }
}

/** Resolves when all is sent. What the far end does to the connection meanwhile is told by the response; what the source of an upload throws rejects. */
async function send(request: ClientRequest, input: unknown, upload: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  if (!upload) return void request.end(input === undefined ? undefined : JSON.stringify(input))
  request.write(`${JSON.stringify(input)}\n`)
  let sourceError: unknown
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* upload
    } catch (error) {
      sourceError = error
      throw error
    }
  }
  await pipeline(Readable.from(source(), { objectMode: true, highWaterMark: 1 }), request).catch(() => {})
  if (sourceError !== undefined) throw sourceError
}

function responseOf(request: ClientRequest, clock: Needs['clock'], withinMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(withinMs, () => request.destroy(new Error(`no answer within ${withinMs} ms`)))
    request.once('close', cancel).on('error', reject)
    request.once('response', (response: IncomingMessage) => {
      cancel()
      resolve(response)
    })
  })
}

async function whole({ way, clock, timeoutMs }: Needs, response: IncomingMessage): Promise<unknown> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of heard(response, clock, timeoutMs, way.name)) {
    text += part as unknown as string
    if (text.length > maxAnswerBytes) throw fault.strange_answer({ path: way.name, problem: 'its answer is too long' })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fault.strange_answer({ path: way.name, problem: 'no JSON' })
  }
  if (response.statusCode === 200) return value
  throw faultIn(value) ?? fault.strange_answer({ path: way.name, problem: `HTTP ${response.statusCode}` })
}

async function streamed(
  { way, clock }: Needs,
  response: IncomingMessage,
  operation: Partial<Operation>,
  { onItem }: AnyOptions,
): Promise<unknown> {
  const path = way.name
  const reader = ndjsonReader(maxLineBytes)
  for await (const part of heard(response, clock, silenceMs, path)) {
    let values: unknown[]
    try {
      values = reader.push(part)
    } catch (error) {
      throw fault.strange_answer({ path, problem: reasonOf(error) }, error)
    }
    for (const value of values) {
      const line = (value ?? {}) as { readonly item?: unknown; readonly result?: unknown }
      if (Object.hasOwn(line, 'result')) return line.result
      if (!Object.hasOwn(line, 'item'))
        throw faultIn(value) ?? fault.strange_answer({ path, problem: 'a line that is neither item nor result' })
      const item = operation.stream?.safeParse(line.item)
      if (!item?.success) throw fault.strange_answer({ path, problem: item?.error.issues[0]?.message ?? 'an item that was not asked for' })
      await onItem?.(item.data as never)
    }
  }
  throw fault.answer_cut({ path, reason: 'no end was sent' })
}

/** The parts of a response; silence for so long while one is waited for ends it. Faults: `control.answer_cut`. */
async function* heard(response: IncomingMessage, clock: Needs['clock'], withinMs: number, path: string): AsyncGenerator<Buffer> {
  const parts = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  for (;;) {
    const cancel = clock.after(withinMs, () => response.destroy(new Error(`nothing was heard for ${withinMs} ms`)))
    let next: IteratorResult<Buffer>
    try {
      next = await parts.next()
    } catch (error) {
      throw fault.answer_cut({ path, reason: reasonOf(error) }, error)
    } finally {
      cancel()
    }
    if (next.done) return
    yield next.value
  }
}

/** What TLS says of a certificate that is not the pinned authority's, or not for that name or time. */
function isTrustError(error: unknown): boolean {
  return /^(?:ERR_TLS_CERT|CERT_|UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA)/.test(
    (error as { code?: string }).code ?? '',
  )
}

function faultIn(value: unknown): Fault | undefined {
  const { code, kind, message, hint, details } = ((value as { error?: unknown } | null)?.error ?? {}) as Partial<Fault>
  if (typeof code !== 'string' || typeof message !== 'string' || typeof kind !== 'string' || !Object.hasOwn(outside, kind)) return undefined
  return new Fault(code, { kind, message, ...(typeof hint === 'string' ? { hint } : {}) }, details ?? {})
}
