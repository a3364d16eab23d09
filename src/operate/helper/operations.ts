// Decides by the helper's own configuration whether a tool may be performed, has it performed, and records both. What the server says is never believed.
import type { z } from 'zod'
import { type Grant, GrantVerifier } from '../../base/access/grant.ts'
import { type RateLimit, rateLimit } from '../../base/access/rate.ts'
import { defaultTimeoutMs, problemsOf, fault as toolFault, within } from '../../base/mcp/tool/call.ts'
import { type Caller, type Tool, type ToolSource, isReal, reaches } from '../../base/mcp/tool/tool.ts'
import { asFault } from '../../kernel/fault.ts'
import type { OperateConfig } from '../config.ts'
import { fault } from '../faults.ts'
import type { MachineNeeds } from '../needs.ts'
import { allowedBy } from './allowed.ts'
import { type HelperAnswer, type HelperRequest, request } from './api.ts'
import type { HelperNeeds } from './needs.ts'
import { type HelperCall, type PrivilegedTool, isPrivileged } from './privileged.ts'
import type { Asked, HelperRecord } from './record.ts'
import type { OwnConfig } from './own-config.ts'

/** One request as it came in. */
export type Incoming = {
  readonly link: number
  readonly method: string
  readonly params: unknown
  /** The bytes of `params.arguments`. */
  readonly arguments: Uint8Array | undefined
} & Pick<HelperCall, 'signal' | 'progress' | 'afterReply'>

export type OperationsNeeds = Omit<HelperNeeds, 'config' | 'allows'> & { readonly config: OwnConfig; readonly record: HelperRecord }

export interface Operations {
  /** Faults of many kinds, all of which are in the record. */
  perform(incoming: Incoming): Promise<HelperAnswer>
}

/** What follows from one state of the configuration. */
type Rules = { readonly needs: HelperNeeds; readonly grants: GrantVerifier; readonly changes: RateLimit }
type Admitted = { readonly tool: PrivilegedTool; readonly input: z.output<z.ZodObject>; readonly caller: Caller; readonly rules: Rules }
/** Filled as more is known: also of what is refused at last. */
type Story = { asker: Asked['asker']; subjects: string[] }

/** Loads every tool that is for the helper. */
export async function privilegedTools(sources: readonly ToolSource<MachineNeeds>[]): Promise<ReadonlyMap<string, PrivilegedTool>> {
  const loaded = await Promise.all(sources.map((source) => source.load()))
  const tools = loaded.map(({ default: tool }): Tool<MachineNeeds> => tool).filter(isPrivileged)
  return new Map(tools.map((tool) => [tool.name, tool]))
}

export function createOperations(own: OperationsNeeds, tools: ReadonlyMap<string, PrivilegedTool>): Operations {
  const { clock, record } = own
  const made = new WeakMap<OperateConfig, Rules>()
  const rates = new Map<string, RateLimit>()
  const lastMs = new Map<string, number>()

  const rulesOf = (config: OperateConfig): Rules => {
    let rules = made.get(config)
    if (!rules) {
      const { grants, changes_per_minute: perMinute } = config.helper
      rules = {
        needs: { ...own, config, allows: allowedBy(config) },
        grants: new GrantVerifier(own, grants),
        changes: rateLimit(clock, { burst: perMinute, perSecond: perMinute / 60 }),
      }
      made.set(config, rules)
    }
    return rules
  }

  const admit = async ({ method, params }: Incoming, story: Story): Promise<Admitted> => {
    const asked = request.safeParse(params)
    if (asked.success) story.asker = askerOf(asked.data)
    const tool = tools.get(method)
    if (!tool) throw fault.unknown_operation({ operation: method.slice(0, 64) })
    if (!asked.success) throw fault.bad_request({ problem: (await problemsOf(request, params, asked.error)).join('; ') })
    const rules = rulesOf(await own.config.current())
    const { data } = asked
    const grant = data.grant === undefined ? undefined : rules.grants.verify(data.grant)
    if (grant) story.asker = askerOf(data, grant)
    const { principal, via } = story.asker!
    const held = grant ? grant.roles : [rules.needs.config.helper.server_max_role]
    if (!held.some((role) => reaches(role, tool.role))) throw toolFault.denied({ tool: method, principal, role: tool.role })
    const input = tool.input.safeParse(data.arguments)
    if (!input.success) throw toolFault.bad_input({ tool: method, problems: await problemsOf(tool.input, data.arguments, input.error) })
    for (const { list, name } of tool.privileged.subjects?.(input.data) ?? []) {
      story.subjects.push(`${list}:${name}`)
      if (!rules.needs.allows(list, name)) throw fault.not_listed({ tool: method, list, name })
    }
    const caller = { principal: { name: principal, via: via as Caller['principal']['via'] }, requestId: data.request, source: data.source }
    return { tool, input: input.data, caller, rules }
  }

  /** Of what really happens only. */
  const slowDown = ({ tool, rules }: Admitted, asker: NonNullable<Asked['asker']>): void => {
    const { name, effect, privileged } = tool
    const who = asker.isProved ? asker.principal : '' // the server could say any name
    let own = rates.get(name)
    if (privileged.rate && !own) rates.set(name, (own = rateLimit(clock, privileged.rate)))
    const waitMs = own?.take(who) ?? (effect === 'change' ? rules.changes.take(`${name}\n${who}`) : 0)
    if (waitMs > 0) throw fault.too_often({ tool: name, waitMs })
    const intervalMs = privileged.minIntervalMs?.(rules.needs.config) ?? 0
    const sinceMs = clock.mono() - (lastMs.get(name) ?? -Infinity)
    if (sinceMs < intervalMs) throw fault.too_often({ tool: name, waitMs: intervalMs - sinceMs })
    if (intervalMs > 0) lastMs.set(name, clock.mono())
  }

  const run = async ({ tool, input, caller, rules }: Admitted, incoming: Incoming): Promise<HelperAnswer> => {
    const mode = rules.needs.config.testing.sandbox_mode
    if (!isReal(mode, tool.effect)) return { output: tool.simulate!(undefined as never, input), simulated: mode }
    let simulated: string | undefined
    const { progress, afterReply } = incoming
    // What changes something runs to its end, whoever still waits for it: the record must say what became of it.
    const signal = tool.effect === 'change' ? new AbortController().signal : incoming.signal
    const output = await within(tool.name, tool.limits?.timeoutMs ?? defaultTimeoutMs, clock, signal, (inner) =>
      tool.privileged.perform(rules.needs, input, {
        signal: inner,
        progress,
        caller,
        simulated: (why) => void (simulated = why),
        afterReply,
      }),
    )
    return { output, ...(simulated === undefined ? {} : { simulated }) }
  }

  return {
    async perform(incoming) {
      const { method: operation, link, arguments: given } = incoming
      const story: Story = { asker: undefined, subjects: [] }
      const asked = (): Asked => ({ operation, link, arguments: given, ...story })
      let admitted: Admitted
      let isChange: boolean
      try {
        admitted = await admit(incoming, story)
        const { tool, rules } = admitted
        const mode = rules.needs.config.testing.sandbox_mode
        const real = isReal(mode, tool.effect)
        if (!real && !tool.simulate) throw toolFault.sandboxed({ tool: operation, mode })
        isChange = real && tool.effect === 'change'
        if (real) slowDown(admitted, story.asker!)
      } catch (error) {
        const { code, message } = asFault(error)
        await record.denied(asked(), code, message)
        throw error
      }
      const startedMs = clock.mono()
      const { seq: begin, written } = record.begin(asked(), isChange)
      const recorded = written.catch((error: unknown) => {
        const reason = asFault(error).message
        own.log.error('helper.unrecorded', { tool: operation, reason })
        if (isChange) throw fault.unrecorded({ tool: operation, reason }, error)
      })
      if (isChange) await recorded // looking harms nobody: its line is written together with that of its end
      try {
        const answer = await run(admitted, incoming)
        await record.end(begin, answer.simulated === undefined ? 'done' : 'simulated', clock.mono() - startedMs)
        return answer
      } catch (error) {
        const { code } = asFault(error)
        await record.end(begin, 'failed', clock.mono() - startedMs, code)
        throw error
      }
    },
  }
}

function askerOf({ principal, source, request: id }: HelperRequest, grant?: Grant): NonNullable<Asked['asker']> {
  return grant
    ? { principal: grant.subject, via: grant.via, isProved: true, source, request: id }
    : { principal: principal.name, via: principal.via, isProved: false, source, request: id }
}
