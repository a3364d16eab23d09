// A call that a person is asked about, as it is kept until it is decided: who wants what, never the bytes of the call.
import { hash } from 'node:crypto'
import type { Entry } from '../../base/kv/kv.ts'

/** Who wants to call what, and with which bytes: the yes is for exactly that. */
export type AskedCall = {
  readonly principal: string
  readonly upstream: string
  readonly tool: string
  readonly arguments: Uint8Array
  readonly session: string | undefined
}

export type Yes = 'once' | 'session' | { readonly forMs: number }
export type By = 'client' | 'machine'
export type Decided =
  | { readonly is: 'granted'; readonly by: By; readonly how: Yes }
  | { readonly is: 'denied'; readonly reason: string }
  | { readonly is: 'withdrawn' }

/** As it is kept. `gate`: where it waits; `called`: how its client cancels it; `token`: of what its client answers or comes back with. */
export type AskedRecord = {
  readonly principal: string
  readonly upstream: string
  readonly tool: string
  readonly session?: string
  readonly gate: string
  readonly key: string
  readonly shown: string
  readonly askedAt: string
  readonly timeoutMs: number
  readonly isSentBack: boolean
  readonly called: string
  readonly token: string
  readonly decision?: Decided
}

const maxShownBytes = 4_096

/** Equal for two calls exactly when the same principal calls the same tool of the same upstream with the same bytes. */
export function callKey({ principal, upstream, tool, arguments: bytes }: AskedCall): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${JSON.stringify([principal, upstream, tool])}\n`), bytes]), 'base64url')
}

export function recordIn({ value }: Pick<Entry, 'value'>): AskedRecord {
  return JSON.parse(Buffer.from(value).toString('utf8')) as AskedRecord
}

/** The arguments of a call for a person to read, cut when they are long: then they say how long they are. */
export function shownArguments(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, maxShownBytes)).toString('utf8')
  return bytes.length > maxShownBytes ? `${text}… (${bytes.length} bytes)` : text
}
