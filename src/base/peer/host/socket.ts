// What is said on a host's socket, by processes of one owner: each connection opens with one line that says what it is for.
//
//   attach   stays as long as the attached process lives; lines go both ways, see `Said` and `Told`
//   dial     answered with one line, `Dialled` or `Refused`; then it is the stream
//   take     is from then on the stream that an `incoming` line announced
import type { Duplex } from 'node:stream'
import { Fault, type FaultKind } from '../../../kernel/fault.ts'
import type { Dropped, Protocols } from './host.ts'

/** Raised when a line changes its meaning: processes of different releases then do not misunderstand each other. */
export const socketVersion = 1

export type Opening = { readonly fairlead: typeof socketVersion } & (
  | { readonly do: 'attach'; readonly asks: readonly string[] }
  | {
      readonly do: 'dial'
      /** Names the stream in a later `drop`. */
      readonly stream: string
      readonly peer: string | undefined
      readonly addresses: readonly string[]
      readonly protocol: Protocols
    }
  | { readonly do: 'take'; readonly stream: string }
)

/** What the host says of itself. */
export type About = {
  readonly peerId: string
  readonly addresses: readonly string[]
  /** What it was told to listen on, ports resolved: whoever takes its place listens there. */
  readonly listen: readonly string[]
  readonly announce: readonly string[]
}

/** From the attached process: it serves a protocol; it does not want the stream that was announced; a connection is dead, or was made for this stream. */
export type Said =
  | { readonly is: 'serve'; readonly protocol: string }
  | { readonly is: 'no'; readonly stream: string }
  | { readonly is: 'drop'; readonly stream: string; readonly what: Exclude<Dropped, 'stream'> }

export type Dialled = { readonly peer: string; readonly address: string; readonly isRelayed: boolean; readonly protocol: string }
export type Incoming = Dialled & {
  readonly stream: string
  /** Nobody else wants it either. */
  readonly must: boolean
}
export type Told = ({ readonly is: 'about' } & About) | ({ readonly is: 'incoming' } & Incoming)

export type Refused = {
  readonly refused: {
    readonly code: string
    readonly kind: FaultKind
    readonly message: string
    readonly hint?: string
    readonly details: Readonly<Record<string, unknown>>
  }
}

/** One line of the socket. */
export function lineText(value: Opening | Said | Told | Dialled | Refused): string {
  return `${JSON.stringify(value)}\n`
}

/** The fault that the other process met. */
export function refusedFault({ refused: { code, kind, message, hint, details } }: Refused): Fault {
  return new Fault(code, { kind, message, ...(hint === undefined ? {} : { hint }) }, details)
}

/** Characters of one line; the longest that we write has a hundred addresses. */
const maxLineLength = 64 << 10

/** Hands over each line as the value it holds. Both ends belong to one owner: a line that is no JSON, or endless, is a defect, and ends the connection. */
export function readLines<Value>(socket: Duplex, take: (value: Value) => void): void {
  let begun = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (begun + text).split('\n')
    begun = lines.pop()!
    try {
      for (const line of lines) take(JSON.parse(line) as Value)
      if (begun.length > maxLineLength) socket.destroy()
    } catch {
      socket.destroy()
    }
  })
}

/** Joins two streams of bytes, with back-pressure and half-close both ways; when one breaks, so does the other. Resolves when both are over. */
export async function splice(left: Duplex, right: Duplex): Promise<void> {
  const over = ([from, to]: readonly [Duplex, Duplex]): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        if (!(from.readableEnded && from.writableFinished)) to.destroy()
        resolve()
      }
      from.on('error', () => to.destroy())
      if (from.destroyed) done()
      else from.once('close', done)
    })
  const both = Promise.all([over([left, right]), over([right, left])])
  left.pipe(right)
  right.pipe(left)
  await both
}
