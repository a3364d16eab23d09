// The gateway as the holder of a connector's credential reaches it: one JSON message there, one bounded answer back, the credential in its header and nowhere else.
import { type Clock, deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import { type HttpClient, HttpSendError } from '../../base/http/client.ts'
import { fault } from '../faults.ts'

export type Message = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly token?: Secret
  readonly session?: string
  /** Sent as it is. */
  readonly body?: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

export interface Gateway {
  readonly url: string
  /** The answer, whatever its status. Fault `gate.gateway_unreachable`, whose cause tells by `isUnsent` whether the message left; `gate.gateway_answer`. */
  send(message: Message): Promise<Answer>
}

const maxAnswerBytes = 8 << 20

export function createGateway({ clock, http }: { readonly clock: Clock; readonly http: HttpClient }, url: string): Gateway {
  return {
    url,
    async send({ method, path, token, session, body, headers, timeoutMs, signal }) {
      const over = deadline(clock, timeoutMs, signal)
      try {
        const response = await http.send({
          method,
          url: new URL(`${url}${path}`),
          headers: {
            // A kept connection that the gateway closed with its last breath would leave it unknown whether a message arrived.
            connection: 'close',
            ...headers,
            ...(token ? { authorization: `Bearer ${token.reveal()}` } : {}),
            ...(session === undefined ? {} : { 'connector-session': session }),
          },
          ...(body ? { body } : {}),
          signal: over,
        })
        const parts: Buffer[] = []
        let sizeBytes = 0
        for await (const part of response as AsyncIterable<Buffer>) {
          sizeBytes += part.length
          if (sizeBytes > maxAnswerBytes) throw fault.gateway_answer({ problem: `it is larger than ${maxAnswerBytes} bytes` })
          parts.push(part)
        }
        return { status: response.statusCode!, body: objectIn(Buffer.concat(parts)) }
      } catch (error) {
        signal?.throwIfAborted()
        if ((error as { code?: unknown }).code === 'gate.gateway_answer') throw error
        const reason = over.aborted
          ? `no answer within ${timeoutMs / 1_000} s`
          : reasonOf(error instanceof HttpSendError ? error.cause : error)
        throw fault.gateway_unreachable({ url, reason }, error)
      }
    },
  }
}

/** True when the message of this fault certainly did not reach the gateway. */
export function isUnsent(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return code === 'gate.gateway_unreachable' && cause instanceof HttpSendError && !cause.isSent
}

function objectIn(bytes: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw fault.gateway_answer({ problem: 'it is no JSON' })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault.gateway_answer({ problem: 'it is no JSON object' })
  return value as Readonly<Record<string, unknown>>
}
