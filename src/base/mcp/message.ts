// Builds the few frames that a relay says itself: errors, answers, notifications.
import type { Outcome } from './exchange.ts'
import { code } from './protocol.ts'
import { type Frame, type Places, asBuffer, token, valueAt } from '../wire/frame.ts'

const encoder = (text: string): Buffer => Buffer.from(text, 'utf8')

/** The id of a frame as it stands in the bytes, quotes included; `null` when it has none. */
export function idToken(frame: Frame): string {
  return frame.at.id ? token(frame, frame.at.id) : 'null'
}

/** An error answer to the request with this id token. */
export function errorFrame(id: string, errorCode: number, message: string, data?: unknown): Frame {
  const error = JSON.stringify({ code: errorCode, message, ...(data === undefined ? {} : { data }) })
  return build('error', `{"jsonrpc":"2.0","id":${id}`, 'error', error)
}

/** A result answer to the request with this id token. */
export function resultFrame(id: string, result: unknown): Frame {
  return build('result', `{"jsonrpc":"2.0","id":${id}`, 'result', JSON.stringify(result))
}

function build(kind: 'result' | 'error', head: string, member: 'result' | 'error', value: string): Frame {
  const text = `${head},"${member}":${value}}`
  const bytes = encoder(text)
  const headBytes = Buffer.byteLength(head)
  const at: Places = {
    id: [Buffer.byteLength('{"jsonrpc":"2.0","id":'), headBytes],
    [member]: [headBytes + member.length + 4, bytes.length - 1],
  }
  return { bytes, kind, method: undefined, at }
}

/** Tells a server that nobody waits for the request with this id token any more. */
export function cancelFrame(id: string): Frame {
  const head = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":'
  const requestId = [head.length, head.length + Buffer.byteLength(id)] as const
  const at: Places = { params: [head.length - 13, requestId[1] + 1], requestId }
  return { bytes: encoder(`${head}${id}}}`), kind: 'notification', method: 'notifications/cancelled', at }
}

/** The parsed result of a result frame, or undefined. */
export function resultOf(frame: Frame): Record<string, unknown> | undefined {
  if (!frame.at.result) return undefined
  const value = valueAt(frame, frame.at.result)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
}

/** The code and message of an error frame; code 0 when the server left it out. */
export function errorOf(frame: Frame): { code: number; message: string; data?: unknown } {
  const value = frame.at.error ? valueAt(frame, frame.at.error) : undefined
  const error = (typeof value === 'object' && value !== null ? value : {}) as { code?: unknown; message?: unknown; data?: unknown }
  return {
    code: typeof error.code === 'number' ? error.code : 0,
    message: typeof error.message === 'string' ? error.message : 'no message',
    ...(error.data === undefined ? {} : { data: error.data }),
  }
}

/** The parsed params of a request or notification; an empty object when there are none. */
export function paramsOf(frame: Frame): Record<string, unknown> {
  return frame.at.params ? (valueAt(frame, frame.at.params) as Record<string, unknown>) : {}
}

/** False for an error that its sender could not give the id of what it answers. */
export function hasId(answer: Frame): boolean {
  return answer.at.id !== undefined && idToken(answer) !== 'null'
}

/** An answer of which there is no doubt which request is meant: one without an id gets that request's. */
export function underIdOf(request: Frame, answer: Frame): Frame {
  if (answer.kind !== 'error' || hasId(answer)) return answer
  const { code: errorCode, message, data } = errorOf(answer)
  return errorFrame(idToken(request), errorCode, message, data)
}

/** The whole frame's text. */
export function textOf(frame: Frame): string {
  return asBuffer(frame.bytes).toString('utf8')
}

/** The error that tells the client of a request how its exchange ended, or undefined when it was answered, cancelled or taken over. */
export function problemFrame(request: Frame, outcome: Outcome): Frame | undefined {
  switch (outcome.is) {
    case 'refused':
      return errorFrame(idToken(request), outcome.code ?? code.denied, outcome.reason, outcome.data)
    case 'notSent':
    case 'unknown': {
      const { fault } = outcome
      return errorFrame(idToken(request), code.serverError, fault.message, {
        code: fault.code,
        sent: outcome.is === 'unknown',
        hint: fault.hint,
      })
    }
    default:
      return undefined
  }
}
