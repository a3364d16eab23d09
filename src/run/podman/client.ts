// Podman's own HTTP interface (libpod) on its UNIX socket: one call, its answer bounded in size and time, and what it refuses told in its words.
import type { IncomingMessage } from 'node:http'
import { type HttpClient, HttpSendError, createHttpClient } from '../../base/http/client.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'

/** Spoken by every podman since 4.3, and by the later ones too. */
const base = 'http://podman/v4.3.1/libpod/'
const maxAnswerBytes = 32 << 20
const maxRefusalBytes = 64 << 10
const maxCalls = 8
const maxStreams = 256

export type Request = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below the API's root; its variable parts through `part`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: unknown
  readonly timeoutMs?: number
  /** What is attempted, for faults: `start web`. */
  readonly doing: string
}

/** An answer that podman gave: `refusal` is set from status 400 on. */
export type Answer = { readonly status: number; readonly body: unknown; readonly refusal?: Refusal }
export type Refusal = { readonly cause: string; readonly message: string }

export interface PodmanClient {
  /** Calls and reads the whole answer. Fault: `run.runtime_unavailable`. */
  call(request: Request): Promise<Answer>
  /** The same; every refusal is the fault `run.runtime_refused`. */
  mustDo(request: Request): Promise<unknown>
  /** Calls for an answer that goes on. `timeoutMs` holds until it begins. Faults: `run.runtime_unavailable`; what is refused is answered. */
  stream(
    request: Request,
    signal: AbortSignal,
  ): Promise<{ readonly response: IncomingMessage } | { readonly refusal: Refusal; readonly status: number }>
  close(): void
}

/** A part of a path that somebody else chose. */
export function part(text: string): string {
  return encodeURIComponent(text)
}

/** `run.runtime_refused` in podman's own words. */
export function refused(doing: string, reason: string): Error {
  return fault.runtime_refused({ runtime: 'podman', doing, reason })
}

/** `run.runtime_unavailable`. */
export function unavailable(reason: string, cause?: unknown): Error {
  return fault.runtime_unavailable({ runtime: 'podman', reason }, cause)
}

/** Opens no connection yet. */
export function podmanClient({ clock }: { readonly clock: Clock }, socket: string): PodmanClient {
  const calls = createHttpClient({ maxSockets: maxCalls, socketPath: socket })
  const streams = createHttpClient({ maxSockets: maxStreams, socketPath: socket })
  const send = (http: HttpClient, { method, path, query = {}, body }: Request, signal: AbortSignal): Promise<IncomingMessage> => {
    const url = new URL(base + path)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const headers = bytes ? { 'content-type': 'application/json' } : {}
    return http.send({ method, url, headers, ...(bytes ? { body: bytes } : method === 'POST' ? { body: new Uint8Array() } : {}), signal })
  }
  const call = async (request: Request): Promise<Answer> => {
    const { timeoutMs = 30_000, doing } = request
    const late = deadline(clock, timeoutMs)
    const bytes = await attempt(request, timeoutMs, late, async () => {
      const response = await send(calls, request, late)
      return { response, bytes: await whole(response, maxAnswerBytes) }
    })
    const status = bytes.response.statusCode ?? 0
    if (status >= 400) return { status, body: undefined, refusal: refusalOf(status, bytes.bytes) }
    return { status, body: bytes.bytes.length === 0 ? undefined : parsed(bytes.bytes, doing) }
  }
  return {
    call,
    async mustDo(request) {
      const { body, refusal } = await call(request)
      if (refusal) throw refused(request.doing, refusal.message)
      return body
    },
    async stream(request, signal) {
      const { timeoutMs = 30_000 } = request
      const begun = new AbortController()
      const cancel = clock.after(timeoutMs, () => begun.abort(new DOMException('', 'TimeoutError')))
      return attempt(request, timeoutMs, begun.signal, async () => {
        const response = await send(streams, request, AbortSignal.any([signal, begun.signal]))
        const status = response.statusCode ?? 0
        if (status >= 400) return { status, refusal: refusalOf(status, await whole(response, maxRefusalBytes)) }
        return { response }
      }).finally(cancel)
    },
    close() {
      calls.close()
      streams.close()
    },
  }
}

async function attempt<Result>({ doing }: Request, timeoutMs: number, late: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (late.aborted) throw unavailable(`it did not ${doing} within ${timeoutMs / 1_000} s`, error)
    if (error instanceof TooMuch) throw refused(doing, error.message)
    const cause = error instanceof HttpSendError ? error.cause : error
    throw unavailable(reasonOf(cause), error)
  }
}

class TooMuch extends Error {}

async function whole(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) {
      response.destroy()
      throw new TooMuch(`its answer is larger than ${maxBytes} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parsed(bytes: Buffer, doing: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw refused(doing, 'its answer is no JSON')
  }
}

function refusalOf(status: number, bytes: Buffer): Refusal {
  const text = bytes.toString('utf8').trim()
  try {
    const { cause, message } = JSON.parse(text) as Partial<Record<string, unknown>>
    if (typeof message === 'string') return { cause: typeof cause === 'string' ? cause : '', message: message.slice(0, 2_000) }
  } catch {}
  return { cause: '', message: text.slice(0, 2_000) || `status ${status}` }
}
