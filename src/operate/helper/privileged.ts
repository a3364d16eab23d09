// A tool whose work needs root: one value like any other, with a member that says what the helper does for it. The helper knows no operation that is not one.
import type { z } from 'zod'
import type { Rate } from '../../base/access/rate.ts'
import type { Call, Tool } from '../../base/mcp/tool/tool.ts'
import type { OperateConfig } from '../config.ts'
import type { MachineNeeds } from '../needs.ts'
import type { AllowList } from './settings.ts'
import type { HelperNeeds } from './needs.ts'

/** Something that a call touches, and the list of `helper.allow` that must name it. */
export type Subject = { readonly list: AllowList; readonly name: string }

/** A call at work in the helper. */
export type HelperCall = Call & {
  /** Runs `act` when the answer has left: for what ends the machine, or this very process. It never runs if the call fails. */
  readonly afterReply: (act: () => void) => void
}

export type Privileged<In extends z.ZodObject = z.ZodObject, Out extends z.ZodObject = z.ZodObject> = {
  /** All that the call touches: the helper refuses it unless each is on its list. Nothing by default. */
  subjects?(input: z.output<In>): readonly Subject[]
  /** The shortest time between two calls that really happen. */
  minIntervalMs?(config: OperateConfig): number
  /** How often one principal may call it; the configuration's `helper.rate` by default. */
  readonly rate?: Rate
  /** Does the work, in the helper's process and nowhere else. */
  perform(needs: HelperNeeds, input: z.output<In>, call: HelperCall): Promise<z.input<Out>>
}

/** Its input is checked in both processes, so the schema must accept its own output: no transforms. */
export type PrivilegedTool<In extends z.ZodObject = z.ZodObject, Out extends z.ZodObject = z.ZodObject> = Tool<MachineNeeds, In, Out> & {
  readonly privileged: Privileged<In, Out>
}

type Declared<In extends z.ZodObject, Out extends z.ZodObject> = Omit<PrivilegedTool<In, Out>, 'handle' | 'simulate'> & {
  /** In place of the helper's answer when a sandbox, of either process, keeps the call from happening; without it such a call is refused. */
  simulate?(input: z.output<In>): z.input<Out>
}

/** Declares a privileged tool: the server asks the helper for it. */
export function privilegedTool<In extends z.ZodObject, Out extends z.ZodObject>({
  simulate,
  ...declared
}: Declared<In, Out>): PrivilegedTool<In, Out> {
  const made: PrivilegedTool<In, Out> = {
    ...declared,
    handle: ({ helper }, input, call) => helper.ask(made, input, call),
    ...(simulate ? { simulate: (_needs, input) => simulate(input) } : {}),
  }
  return made
}

/** Whether a tool, as it was loaded, is one that the helper performs. */
export function isPrivileged(tool: Tool<MachineNeeds>): tool is PrivilegedTool {
  return 'privileged' in tool
}
