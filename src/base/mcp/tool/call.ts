// Lists and calls tools for a principal, independent of any transport: who may, valid input, time, size, sandbox, one log line a call.
import type { z } from 'zod'
import type { Clock } from '../../../kernel/clock.ts'
import { type Fault, asFault, faults, outside } from '../../../kernel/fault.ts'
import type { Log } from '../../../kernel/log.ts'
import type { Principal } from '../../access/principal.ts'
import {
  type Annotations,
  type Call,
  type Caller,
  type Effect,
  type Role,
  type SandboxMode,
  type Tool,
  type ToolSource,
  isReal,
} from './tool.ts'

/** How long a call may take when its tool does not say it. */
export const defaultTimeoutMs = 30_000
const defaultMaxOutputBytes = 256 << 10

/** What keeps a tool from being called, and what can go wrong with its call. */
export const fault = faults('tool', {
  unknown: (d: { tool: string }) => ({
    kind: 'missing',
    message: `there is no tool named ${d.tool}`,
    hint: 'tools/list names the tools that may be called',
  }),
  denied: (d: { tool: string; principal: string; role: string }) => ({
    kind: 'denied',
    message: `${d.principal} may not call ${d.tool}`,
    hint: `it needs the role ${d.role}: ask whoever runs this machine for it`,
  }),
  bad_input: (d: { tool: string; problems: readonly string[] }) => ({
    kind: 'usage',
    message: `the arguments of ${d.tool} are not acceptable: ${d.problems.join('; ')}`,
    hint: 'correct the arguments by the input schema in tools/list',
  }),
  bad_output: (d: { tool: string; problems: readonly string[] }) => ({
    kind: 'bug',
    message: `${d.tool} made an answer that its own schema refuses: ${d.problems.join('; ')}`,
    hint: 'this is a defect in Fairlead: please report it',
  }),
  too_large: (d: { tool: string; sizeBytes: number; maxOutputBytes: number }) => ({
    kind: 'limited',
    message: `the answer of ${d.tool} has ${d.sizeBytes} bytes, more than the ${d.maxOutputBytes} allowed`,
    hint: 'ask for less: a smaller limit, or a narrower filter',
  }),
  timed_out: (d: { tool: string; timeoutMs: number }) => ({
    kind: 'unavailable',
    message: `${d.tool} did not end within ${d.timeoutMs} ms and was stopped`,
    hint: 'try again; if it stays so, look at the load of the machine',
  }),
  cancelled: (d: { tool: string }) => ({ kind: 'unavailable', message: `the call of ${d.tool} was cancelled by its caller` }),
  unrecorded: (d: { tool: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.tool} was not done, since it could not be recorded: ${d.reason}`,
    hint: 'make room on the disk of the audit log, or see who may write it, then try again',
  }),
  busy: (d: { maxCalls: number }) => ({
    kind: 'limited',
    message: `${d.maxCalls} calls are running already`,
    hint: 'wait for some of them to end, then try again',
  }),
  sandboxed: (d: { tool: string; mode: string }) => ({
    kind: 'denied',
    message: `${d.tool} was not done: the sandbox mode is ${d.mode}`,
    hint: 'set sandbox_mode to "disabled" in the configuration of this machine and restart its server',
  }),
  malformed: (d: { tool: string; problem: string }) => ({ kind: 'bug', message: `the tool ${d.tool} is declared wrongly: ${d.problem}` }),
})

type ListedTool = {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly inputSchema: { readonly type: 'object'; readonly [key: string]: unknown }
  readonly outputSchema: { readonly type: 'object'; readonly [key: string]: unknown }
  readonly annotations: Annotations & { readonly title: string }
}

/** What MCP calls a CallToolResult. A failure carries its code and details under `_meta["fairlead/fault"]`. */
type ToolAnswer = {
  content: { type: 'text'; text: string }[]
  structuredContent?: Record<string, unknown>
  isError?: true
  _meta?: Record<string, unknown>
}

/** A call as it comes in. What is not said of its caller is unknown. */
export type AskedCall = Pick<Call, 'signal' | 'progress'> & Partial<Omit<Caller, 'principal'>>

export interface Toolbox {
  /** The tools this principal may call. Faults when a tool cannot be loaded. */
  list(principal: Principal): Promise<ListedTool[]>
  /** Never rejects for what a tool did; faults `tool.unknown` alone is thrown, since the protocol answers it differently. */
  call(principal: Principal, name: string, input: unknown, call: AskedCall): Promise<ToolAnswer>
  /** What kept the tools from loading, the last time it was tried. */
  readonly problem: Fault | undefined
  readonly running: number
}

/** A call before it is begun, or refused. `role`: what it needs. */
export type Attempt = {
  readonly tool: string
  readonly caller: Caller
  readonly role: Role | undefined
  readonly effect: Effect | undefined
  readonly input: unknown
}

/** Where every call is written down. A call that only observes goes on when it cannot be; others are refused then. */
export interface CallRecord {
  /** Resolves with the number of the entry when it is written. */
  begin(attempt: Attempt): Promise<number>
  /** Never rejects. */
  end(begin: number, attempt: Attempt, outcome: 'done' | 'simulated' | 'failed', durationMs: number, code?: string): Promise<void>
  /** Never rejects. */
  denied(attempt: Attempt, code: string): Promise<void>
}

export type ToolboxOptions<Needs> = {
  readonly tools: readonly ToolSource<Needs>[]
  readonly needs: Needs
  /** Asked for every listing and call; whatever it does not allow is refused. */
  mayCall(principal: Principal, tool: Tool<Needs>): boolean
  /** Asked for every call, so that a change counts at once; `disabled` when absent. */
  readonly sandboxMode?: () => SandboxMode
  readonly record?: CallRecord
  readonly clock: Clock
  readonly log: Log
  /** Calls at work at one time; 1000 by default. */
  readonly maxCalls?: number
}

/** Each problem with the key it is about, in words. Loaded when needed: a start shall not wait for it. */
export async function problemsOf(schema: z.ZodType, value: unknown, { issues }: z.ZodError): Promise<string[]> {
  const { pathText, problemsOf: found } = await import('../../config/problem.ts')
  return found(schema, value, issues.slice(0, 8)).map(({ path, problem }) => (path.length > 0 ? `${pathText(path)}: ${problem}` : problem))
}

function answerOf(failure: Fault): ToolAnswer {
  const { code, kind, message, hint, details } = failure
  return {
    content: [{ type: 'text', text: hint ? `${message}\nhint: ${hint}` : message }],
    isError: true,
    _meta: { 'fairlead/fault': { code, kind, message, ...(hint ? { hint } : {}), ...(kind === 'bug' ? {} : { details }) } },
  }
}

async function loadAll<Needs>(sources: readonly ToolSource<Needs>[]): Promise<ReadonlyMap<string, Tool<Needs>>> {
  const byName = new Map<string, Tool<Needs>>()
  for (const { default: loaded } of await Promise.all(sources.map((source) => source.load()))) {
    const { name } = loaded
    if (!/^[a-z][a-z0-9_]{0,63}$/.test(name)) throw fault.malformed({ tool: name, problem: 'its name has characters that clients refuse' })
    if (byName.has(name)) throw fault.malformed({ tool: name, problem: 'another tool has the same name' })
    byName.set(name, loaded)
  }
  return byName
}

/** As short as it can be said, since agents read it: bounds of every whole number and the dialect, which is MCP's own, are left out. */
function shortened({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
}

async function describe<Needs>(tool: Tool<Needs>): Promise<ListedTool> {
  const { toJSONSchema } = await import('zod')
  const { name, title, description, annotations } = tool
  const schemaOf = (schema: z.ZodObject, io: 'input' | 'output'): ListedTool['inputSchema'] => {
    const { $schema: _, ...rest } = toJSONSchema(schema, { io, override: shortened })
    return { ...rest, type: 'object' }
  }
  return {
    name,
    title,
    description,
    inputSchema: schemaOf(tool.input, 'input'),
    outputSchema: schemaOf(tool.output, 'output'),
    annotations: { title, ...annotations },
  }
}

/** Runs `work` until it ends, the caller leaves or the time is up, whichever is first; work that ignores its signal is left behind. */
export async function within<T>(
  tool: string,
  timeoutMs: number,
  clock: Clock,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController()
  const leave = (): void => own.abort(fault.cancelled({ tool }))
  const stop = clock.after(timeoutMs, () => own.abort(fault.timed_out({ tool, timeoutMs })))
  outer.addEventListener('abort', leave, { once: true })
  if (outer.aborted) leave()
  try {
    return await new Promise<T>((resolve, reject) => {
      own.signal.addEventListener('abort', () => reject(own.signal.reason as Error), { once: true })
      if (own.signal.aborted) return reject(own.signal.reason as Error)
      work(own.signal).then(resolve, reject)
    })
  } finally {
    stop()
    outer.removeEventListener('abort', leave)
  }
}

async function perform<Needs>(
  tool: Tool<Needs>,
  input: unknown,
  { call, caller }: { readonly call: AskedCall; readonly caller: Caller },
  options: ToolboxOptions<Needs>,
): Promise<ToolAnswer> {
  const { name } = tool
  const given = tool.input.safeParse(input ?? {})
  if (!given.success) throw fault.bad_input({ tool: name, problems: await problemsOf(tool.input, input, given.error) })
  const mode = options.sandboxMode?.() ?? 'disabled'
  const real = isReal(mode, tool.effect)
  if (!real && !tool.simulate) throw fault.sandboxed({ tool: name, mode })
  let why: string | undefined = real ? undefined : mode
  const simulated = (said: string): void => void (why = said)
  const made = real
    ? await within(name, tool.limits?.timeoutMs ?? defaultTimeoutMs, options.clock, call.signal, (signal) =>
        tool.handle(options.needs, given.data, { signal, progress: call.progress, caller, simulated }),
      )
    : tool.simulate!(options.needs, given.data)
  const checked = tool.output.safeParse(made)
  if (!checked.success) throw fault.bad_output({ tool: name, problems: await problemsOf(tool.output, made, checked.error) })
  const text = JSON.stringify(checked.data)
  const maxOutputBytes = tool.limits?.maxOutputBytes ?? defaultMaxOutputBytes
  const sizeBytes = Buffer.byteLength(text)
  if (sizeBytes > maxOutputBytes) throw fault.too_large({ tool: name, sizeBytes, maxOutputBytes })
  const content: ToolAnswer['content'] = [{ type: 'text', text }]
  if (why === undefined) return { content, structuredContent: checked.data }
  content.push({ type: 'text', text: `simulated (${why}): this did not really happen` }) // agents are shown this, and no _meta
  return { content, structuredContent: checked.data, _meta: { 'fairlead/simulated': why } }
}

/** Writes down that a call is begun, then how it ended; what it failed with is its answer. */
async function recorded<Needs>(
  attempt: Attempt,
  work: () => Promise<ToolAnswer>,
  { record, clock, log }: ToolboxOptions<Needs>,
): Promise<ToolAnswer> {
  const { tool, caller, effect } = attempt
  const who = { tool, principal: caller.principal.name, via: caller.principal.via }
  const startedAt = clock.mono()
  const durationMs = (): number => Math.round(clock.mono() - startedAt)
  let begin: number | undefined
  try {
    begin = await record?.begin(attempt).catch((error: unknown) => {
      const reason = asFault(error).message
      if (effect !== 'observe') throw fault.unrecorded({ tool, reason }, error)
      log.error('tool_call.unrecorded', { ...who, reason })
      return undefined
    })
    const answer = await work()
    const outcome = answer._meta ? 'simulated' : 'done'
    log.info('tool_call', { ...who, outcome, durationMs: durationMs() })
    if (begin !== undefined) await record!.end(begin, attempt, outcome, durationMs())
    return answer
  } catch (error) {
    const failure = asFault(error)
    const { code, message } = failure
    log[outside[failure.kind].level]('tool_call', { ...who, outcome: 'failed', code, error: message, durationMs: durationMs() })
    if (begin !== undefined) await record!.end(begin, attempt, 'failed', durationMs(), code)
    return answerOf(failure)
  }
}

/** Makes a toolbox. Tools are loaded when first asked for; a failed load is tried again by the next call. */
export function createToolbox<Needs>(options: ToolboxOptions<Needs>): Toolbox {
  const { log, record, maxCalls = 1_000 } = options
  const listed = new Map<string, Promise<ListedTool>>()
  let loading: Promise<ReadonlyMap<string, Tool<Needs>>> | undefined
  let problem: Fault | undefined
  let running = 0

  const tools = (): Promise<ReadonlyMap<string, Tool<Needs>>> =>
    (loading ??= loadAll(options.tools).then(
      (loaded) => {
        problem = undefined
        return loaded
      },
      (error: unknown) => {
        loading = undefined
        problem = asFault(error)
        log.error('tools.not_loaded', { problem: problem.message })
        throw problem
      },
    ))

  const listing = (tool: Tool<Needs>): Promise<ListedTool> => {
    let made = listed.get(tool.name)
    if (!made) listed.set(tool.name, (made = describe(tool)))
    return made
  }

  return {
    async list(principal) {
      const allowed = [...(await tools()).values()].filter((tool) => options.mayCall(principal, tool))
      return Promise.all(allowed.map(listing))
    },
    async call(principal, name, input, call) {
      const { requestId = 'unknown', source = 'unknown', grant } = call
      const caller = { principal, requestId, source, ...(grant === undefined ? {} : { grant }) }
      const tool = (await tools()).get(name)
      const attempt: Attempt = { tool: name.slice(0, 64), caller, role: tool?.role, effect: tool?.effect, input }
      if (!tool || !options.mayCall(principal, tool)) {
        const { role } = attempt
        const refusal = role ? fault.denied({ tool: name, principal: principal.name, role }) : fault.unknown({ tool: attempt.tool })
        if (role) log.warn('permission_denied', { tool: name, principal: principal.name, via: principal.via, role })
        await record?.denied(attempt, refusal.code)
        if (!tool) throw refusal
        return answerOf(refusal)
      }
      running++
      try {
        return await recorded(
          attempt,
          () => {
            if (running > maxCalls) throw fault.busy({ maxCalls })
            return perform(tool, input, { call, caller }, options)
          },
          options,
        )
      } finally {
        running--
      }
    },
    get problem() {
      return problem
    },
    get running() {
      return running
    },
  }
}
