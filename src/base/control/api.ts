// The description of a daemon's own API: one operation a name, with its schemas and who may use it. Server and client both follow from it.
import type { z } from 'zod'

/** `observe` tells something, `change` acts: each has a socket of its own, and who may open that may do so. */
export type Privilege = 'observe' | 'change'

/** One operation: `POST /v1/<name>` with the input as JSON. */
export type Operation = {
  readonly privilege: Privilege
  /** What it does, in a few words. */
  readonly summary: string
  readonly input: z.ZodType
  readonly output: z.ZodType
  /** What it says on the way, one by one, before its output; none by default. */
  readonly stream?: z.ZodType
}

/** The operations of one daemon, by name in kebab-case. */
export type Api = Readonly<Record<string, Operation>>

/** What a daemon does for each operation. Faults become the client's. */
export type Handlers<A extends Api> = {
  readonly [Name in keyof A]: (input: z.output<A[Name]['input']>) => Promise<z.input<A[Name]['output']>>
}

/** The operations as a client calls them. */
export type Calls<A extends Api> = {
  readonly [Name in keyof A]: (input: z.input<A[Name]['input']>) => Promise<z.output<A[Name]['output']>>
}

/** What every daemon says of itself: the answer to `GET /v1/about`. */
export type About = {
  readonly daemon: string
  readonly pid: number
  /** The operations that this socket offers. */
  readonly operations: readonly string[]
}

/** The file names in a daemon's runtime folder. */
export const socketNames: Readonly<Record<Privilege, string>> = { observe: 'observe.sock', change: 'change.sock' }
