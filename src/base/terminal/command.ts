// A command is one value: what it takes, how it is explained, and what it does. main.ts turns argv into a call of one of these.
import type { Duplex, Readable, Writable } from 'node:stream'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Terminal } from './terminal.ts'

/** A positional argument. The last one may take all that is left. With `choices` it is one of those words. */
export type Argument = {
  readonly summary: string
  readonly optional?: true
  readonly variadic?: true
  readonly choices?: readonly string[]
}

/** A flag. Without `value` it is a switch; `repeat` collects every use, in order. `value` names what follows in the help text; `mayBeBare`: it may be left out, and is '' then. */
export type Flag = {
  readonly summary: string
  /** One letter, for flags that are typed all day: `f` for `-f`. */
  readonly short?: string
  readonly value?: string
  readonly type?: 'text' | 'integer'
  readonly repeat?: true
  readonly mayBeBare?: true
  readonly required?: true
  readonly default?: string | number
}

type ArgumentValue<A extends Argument> = A extends { variadic: true }
  ? readonly string[]
  : A extends { optional: true }
    ? Word<A> | undefined
    : Word<A>
type Word<A extends Argument> = A extends { choices: readonly (infer Choice)[] } ? Choice : string
type Plain<F extends Flag> = F extends { type: 'integer' } ? number : string
type FlagValue<F extends Flag> = F extends { repeat: true }
  ? readonly Plain<F>[]
  : F extends { value: string }
    ? F extends { required: true } | { default: string | number }
      ? Plain<F>
      : Plain<F> | undefined
    : boolean

export type Input<Args extends Record<string, Argument>, Flags extends Record<string, Flag>> = {
  readonly args: { readonly [Key in keyof Args]: ArgumentValue<Args[Key]> }
  readonly flags: { readonly [Key in keyof Flags]: FlagValue<Flags[Key]> }
}

/** Where this person's or this daemon's files live: absolute, and not made before they are needed. */
export type Folders = {
  readonly config: string
  readonly state: string
  readonly runtime: string
  /** Set when a runbook's name keeps its logs in a folder of their own. */
  readonly log?: string
  /** Set when a runbook's name keeps all its files in one folder (`bmp`: `~/.bmp`): they go right into it, not into a capability's folder below `state`. */
  readonly home?: string
}

/** Streams to peers and from them, whose keys are proved: for capabilities that know nothing of how. `identity`: the folder of a wallet. */
export interface PeerStreams {
  /** Without an identity that of the person. `addresses` instead of looking for any. A peer that is not there is a plain error; faults: other `reach.*`, `peer.*`, those of the wallet. */
  dial(asked: {
    readonly peer: string
    readonly addresses: readonly string[]
    readonly protocol: string
    readonly identity?: string | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<Duplex>
  /** Each stream belongs to `accept`. `listen`: ADDRESS:PORT, unless another process is the host of the identity. Faults: those of the wallet, `peer.*`. */
  serve(
    asked: { readonly identity: string; readonly listen: string; readonly server?: string | undefined; readonly protocol: string },
    accept: (stream: { readonly peer: string; readonly address: string; readonly duplex: Duplex }) => void,
  ): Promise<Serving>
}

/** As long as others may come. */
export type Serving = AsyncDisposable & {
  readonly peerId: string
  addresses(): readonly string[]
  /** From the same place, at once: of a process that does both. Faults: `peer.*`. */
  dial(asked: {
    readonly peer: string
    readonly addresses: readonly string[]
    readonly protocol: string
    readonly signal?: AbortSignal | undefined
  }): Promise<Duplex>
}

/** Where daemons of this machine may have their files. */
export type Home = {
  readonly folders: Folders
  /** The runbook's name whose folders these are, and the capability that it belongs to; absent: all of them may be there. */
  readonly alias?: string
  readonly capability?: string
}

/** All that a command may touch of the process it runs in. */
export type Context = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly terminal: Terminal
  readonly log: Log
  readonly clock: Clock
  readonly folders: Folders
  /** Those folders first, then those of the runbooks' names and of the system. */
  readonly homes: readonly Home[]
  /** Of this program: `0.1.0`. */
  readonly version: string
  /** The runbook's name that the program was started by (`bmp`), for texts that tell what to type next. */
  readonly alias?: string
  /** Aborted on SIGINT, SIGTERM and the end of its terminal: stop in good order and return. */
  readonly signal: AbortSignal
  /** Has `reload` called on every SIGHUP that is not the end of its terminal: read the configuration again. Returns what undoes it. */
  onReload(reload: () => void): () => void
  /** Raw streams, for commands that speak a protocol on them. Everything else prints through `terminal`. */
  readonly stdin: Readable
  readonly stdout: Writable
  /** Filled by a composer, and loaded when it is used. */
  readonly peers: PeerStreams
  /** argv that starts this same program again with the same folders, absolute: add a whole command path (`reach agent`). */
  readonly self: readonly [string, ...string[]]
}

export type Command = {
  readonly summary: string
  /** The capability under whose name a composer's command is found (`src/commands` alone). */
  readonly under?: string
  readonly description?: string
  readonly args: Record<string, Argument>
  /** Keys are kebab-case, without the leading dashes. */
  readonly flags: Record<string, Flag>
  /** Whole command lines, each with what it does: shown by --help and run by tests. */
  readonly examples: readonly (readonly [line: string, meaning: string])[]
  /** Returns the exit code; nothing means 0. Failures are thrown as faults. */
  run(context: Context, input: Input<never, never>): Promise<number | void>
}

/** Resolves when the command is asked to stop: for those that run until then. */
export async function stopAsked({ signal }: Pick<Context, 'signal'>): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** A command as the generated list knows it: found and listed without loading its file. */
export type CommandEntry = {
  readonly path: readonly string[]
  readonly summary: string
  readonly load: () => Promise<{ readonly default: Command }>
}

/** Declares a command; the types of `args` and `flags` in `run` follow from the declaration. Every command takes --json and --help besides. */
export function command<const Args extends Record<string, Argument>, const Flags extends Record<string, Flag>>(declared: {
  readonly summary: string
  readonly under?: string
  readonly description?: string
  readonly args?: Args
  readonly flags?: Flags
  readonly examples?: Command['examples']
  run(context: Context, input: Input<Args, Flags>): Promise<number | void>
}): Command {
  return { args: {}, flags: {}, examples: [], ...declared }
}
