// An MCP tool is one value: what it takes and answers, who may call it, how far it may go and what it does. All that is said of tools elsewhere is derived from it.
import type { z } from 'zod'
import type { Principal } from '../../access/principal.ts'

/** From least to most: each may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** True when `role` is `needed` or more; no role, or one that does not exist, reaches nothing. */
export function reaches(role: string | undefined, needed: Role): boolean {
  return role !== undefined && roles.indexOf(role as Role) >= roles.indexOf(needed)
}

/** `disabled`: all is real. `partial`: reads are real, changes are not made. `full`: devices are not read either. */
export const sandboxModes = ['disabled', 'partial', 'full'] as const
export type SandboxMode = (typeof sandboxModes)[number]

/** What a call touches: `observe` looks at the operating system, `sense` reads a device, `change` makes something different. */
export type Effect = 'observe' | 'sense' | 'change'

/** Whether a call with this effect really happens. Observing does in every mode: it leaves no trace. */
export function isReal(mode: SandboxMode, effect: Effect): boolean {
  if (effect === 'observe' || mode === 'disabled') return true
  return mode === 'partial' && effect === 'sense'
}

/** Hints for clients (MCP ToolAnnotations). What is left out takes the protocol's own default, which is the careful one. */
export type Annotations = {
  readonly readOnlyHint?: boolean
  readonly destructiveHint?: boolean
  readonly idempotentHint?: boolean
  readonly openWorldHint?: boolean
}

type Limits = {
  /** Then the call is aborted and answered as timed out; 30 s by default. */
  readonly timeoutMs?: number
  /** Of the answer as JSON; a larger one is refused with the hint to ask for less; 256 KiB by default. */
  readonly maxOutputBytes?: number
}

/** Who is behind a call: for those who decide further on, and for records. */
export type Caller = {
  readonly principal: Principal
  /** The client's own id of its request, as JSON writes it; not unique among clients. */
  readonly requestId: string
  /** Where it came from: an address, or the way in (`stdio`). */
  readonly source: string
  /** A signed statement of the caller's roles, as it was shown: whoever acts by it verifies it. */
  readonly grant?: string
}

/** One call in progress. */
export type Call = {
  /** Aborted when the caller cancels or leaves, or the time is up. */
  readonly signal: AbortSignal
  /** Tells a caller who asked for it how far the work is; `done` only grows. */
  readonly progress: (done: number, total?: number, message?: string) => void
  readonly caller: Caller
  /** Says that what is answered did not really happen, and why not (a sandbox mode, a simulated device): the answer is marked with it. */
  readonly simulated: (why: string) => void
}

/** `Needs` is what the daemon hands to its tools; it is fixed by the capability that owns them. */
export interface Tool<Needs, In extends z.ZodObject = z.ZodObject, Out extends z.ZodObject = z.ZodObject> {
  /** The file's name with underscores: lower-case letters, digits and `_`, at most 64 characters, since some clients refuse anything else. */
  readonly name: string
  /** For people, a few words. */
  readonly title: string
  /** For the agent: what it answers, in which units, and when to use it. */
  readonly description: string
  /** Strict: an argument that is not named here is refused by name. */
  readonly input: In
  readonly output: Out
  readonly annotations: Annotations
  readonly role: Role
  readonly effect: Effect
  readonly limits?: Limits
  /** Does the work. Whatever cannot be known is said as `{ unavailable: reason }`, never invented; failures are faults. */
  handle(needs: Needs, input: z.output<In>, call: Call): Promise<z.input<Out>>
  /** Answers in place of `handle` when the sandbox keeps the call from happening; without it such a call is refused. */
  simulate?(needs: Needs, input: z.output<In>): z.input<Out>
}

/** Declares a tool; the types of `input` and of the answer follow from the schemas. */
export function tool<Needs, In extends z.ZodObject, Out extends z.ZodObject>(declared: Tool<Needs, In, Out>): Tool<Needs, In, Out> {
  return declared
}

/** Where a tool comes from: an entry of `extensions.ts`. Nothing is loaded before somebody asks for a tool. */
export type ToolSource<Needs> = { load(): Promise<{ readonly default: Tool<Needs> }> }
