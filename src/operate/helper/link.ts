// What the server's tools see of the helper: ask it to perform a privileged tool, and hear whether it is there.
import type { z } from 'zod'
import type { Call } from '../../base/mcp/tool/tool.ts'
import { fault } from '../faults.ts'
import type { PrivilegedTool } from './privileged.ts'

export interface HelperLink {
  /**
   * Has `tool` performed by the helper, which decides by its own configuration. Faults: those of the helper and of the tool, with their own codes;
   * `operate.helper_away` within a second when nobody is there.
   */
  ask<In extends z.ZodObject, Out extends z.ZodObject>(
    tool: PrivilegedTool<In, Out>,
    input: z.output<In>,
    call: Call,
  ): Promise<z.input<Out>>
  /** Whether the helper answers now, and why not. */
  health(): Promise<{ readonly ok: boolean; readonly reason?: string }>
}

/** The link of a server that has no helper: everything else works. */
export function noHelper(reason: string): HelperLink {
  return {
    ask: () => Promise.reject(fault.helper_away({ reason })),
    health: async () => ({ ok: false, reason }),
  }
}
