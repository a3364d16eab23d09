// The description of a daemon's own API: one operation a name, with its schemas and who may use it. Server and client both follow from it.
import type { z } from 'zod'

/** `observe` tells something, `change` acts, `administer` decides who may do which. */
export type Privilege = 'observe' | 'change' | 'administer'

/** One operation: `POST /v1/<name>` with the input as JSON. */
export type Operation = {
  readonly privilege: Privilege
  /** It changes nothing: whoever has its privilege is told what is not for all who observe. */
  readonly tells?: true
  /** What it does, in a few words. */
  readonly summary: string
  readonly input: z.ZodType
  readonly output: z.ZodType
  /** What it says on the way, one by one, before its output; none by default. Then the answer is NDJSON: `{"item":…}` lines, and `{"result":…}` or `{"error":…}`. */
  readonly stream?: z.ZodType
  /** Takes bytes too, as many as there are: the input is the first line of the request, they are the rest. */
  readonly upload?: true
}

/** The operations of one daemon, by name in kebab-case. */
export type Api = Readonly<Record<string, Operation>>

/** Who calls. Over a daemon's sockets that is whoever may open them. */
export type Caller = {
  readonly name: string
  readonly via: 'socket' | 'token' | 'peer' | 'dashboard'
}

/** What a handler knows of the call besides its input. */
export type Call<O extends Operation = Operation> = {
  readonly caller: Caller
  /** Aborted when the client went away before it had its answer, may no longer call, or the daemon stops. */
  readonly signal: AbortSignal
} & (O extends { readonly stream: infer Item extends z.ZodType } ? Saying<z.input<Item>> : unknown) &
  (O extends { readonly upload: true } ? Uploaded : unknown)

export type Saying<Item> = {
  /** Sends an item. Wait for it: it resolves when there is room for the next one, and rejects when the client went away. */
  say(item: Item): Promise<void>
}

type Uploaded = {
  /** Rejects when the client went away before the end: what came until then is a part. Read it once, at the pace of the reader. */
  readonly upload: AsyncIterable<Uint8Array>
}

/** What a daemon does for each operation. Faults become the client's. */
export type Handlers<A extends Api> = {
  readonly [Name in keyof A]: (input: z.output<A[Name]['input']>, call: Call<A[Name]>) => Promise<z.input<A[Name]['output']>>
}

/** How one call goes. */
export type CallOptions<O extends Operation = Operation> = {
  /** Ends the call: what was asked for may then have been done, or not. */
  readonly signal?: AbortSignal | undefined
  /** For whom it is called, where somebody stands before the daemon: a daemon believes it of who may open its socket, and records it. */
  readonly onBehalfOf?: string
} & (O extends { readonly stream: infer Item extends z.ZodType }
  ? {
      /** Gets the items in order; no more are read while it works. What it throws ends the call. */
      readonly onItem?: (item: z.output<Item>) => void | Promise<void>
    }
  : unknown) &
  (O extends { readonly upload: true } ? { readonly upload: AsyncIterable<Uint8Array> } : unknown)

/** The operations as a client calls them. */
export type Calls<A extends Api> = {
  readonly [Name in keyof A]: (
    input: z.input<A[Name]['input']>,
    ...options: A[Name] extends { readonly upload: true } ? [CallOptions<A[Name]>] : [CallOptions<A[Name]>?]
  ) => Promise<z.output<A[Name]['output']>>
}

/** What every daemon says of itself: the answer to `GET /v1/about`. */
export type About = {
  readonly daemon: string
  readonly pid: number
  /** The operations that are offered here. */
  readonly operations: readonly string[]
}

/** The sockets of a daemon: who may open one may do all that it offers. */
export type SocketKind = (typeof socketKinds)[number]
export const socketKinds = ['observe', 'change'] as const

/** Of `CallOptions.onBehalfOf`: percent-encoded UTF-8. */
export const onBehalfHeader = 'x-fairlead-for'

/** The file names in a daemon's runtime folder. `change` offers everything. */
export const socketNames: Readonly<Record<SocketKind, string>> = { observe: 'observe.sock', change: 'change.sock' }

export const ndjsonType = 'application/x-ndjson'
/** A stream that has nothing to say sends an empty line so often. */
export const beatMs = 5_000
/** After so much silence of the other side, a call that streams is over. */
export const silenceMs = 20_000
/** Nobody waits longer for a reader that does not read. */
export const stallMs = 600_000
/** Of one line of a stream: an item, or the result. */
export const maxLineBytes = 8 << 20
