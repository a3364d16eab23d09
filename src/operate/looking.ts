// The tools that change nothing, called through the machine server's own socket: neither audited nor logged one by one, since a page asks again every few seconds.
import type { Handlers } from '../base/control/api.ts'
import { createToolbox } from '../base/mcp/tool/call.ts'
import { type Role, type ToolSource, reaches } from '../base/mcp/tool/tool.ts'
import type { Clock } from '../kernel/clock.ts'
import { Fault } from '../kernel/fault.ts'
import type { Log } from '../kernel/log.ts'
import type { machineApi } from './api.ts'
import type { MachineNeeds } from './needs.ts'

export type Looking = Pick<Handlers<typeof machineApi>, 'look' | 'inspect'>

export type LookingNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly tools: readonly ToolSource<MachineNeeds>[]
  readonly needs: MachineNeeds
}

/** Faults are those of the tools, and `tool.*`. */
export function lookingHandlers({ log, ...needs }: LookingNeeds): Looking {
  const quiet: Log = { ...log, info: (event, details) => log.debug(event, details) }
  const as = (role: Role): Looking['look'] => {
    const box = createToolbox({ ...needs, log: quiet, mayCall: (_, tool) => tool.effect === 'observe' && reaches(role, tool.role) })
    return async ({ tool, arguments: given }, { caller, signal }) => {
      const answer = await box.call({ name: caller.name, via: 'socket' }, tool, given, { signal, progress() {} })
      const failure = answer._meta?.['fairlead/fault'] as ReturnType<Fault['toJSON']> | undefined
      if (failure) throw faultOf(failure)
      return answer.structuredContent ?? {}
    }
  }
  return { look: as('viewer'), inspect: as('operator') }
}

function faultOf({ code, details, ...failure }: ReturnType<Fault['toJSON']>): Fault {
  return new Fault(code, failure, details)
}
