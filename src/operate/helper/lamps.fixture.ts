// Privileged tools that tell what was really done: for tests and measurements.
import { z } from 'zod'
import type { ToolSource } from '../../base/mcp/tool/tool.ts'
import type { MachineNeeds } from '../needs.ts'
import type { HelperNeeds } from './needs.ts'
import { type HelperCall, privilegedTool } from './privileged.ts'

/** What was really done, in order. */
export const deeds: string[] = []

const lamp = {
  title: 'Set a lamp',
  description: 'Switches a lamp.',
  input: z.strictObject({ lamp: z.string().min(1).max(64), isOn: z.boolean() }),
  output: z.object({ lamp: z.string(), isOn: z.boolean() }),
  annotations: { destructiveHint: false },
  effect: 'change',
} as const
type Lamp = z.output<typeof lamp.input>

async function set({ config }: HelperNeeds, { lamp: name, isOn }: Lamp, { afterReply, progress, caller }: HelperCall): Promise<Lamp> {
  progress(1, 2, 'half')
  deeds.push(`${name} ${isOn} ${caller.principal.name} ${config.testing.sandbox_mode}`)
  afterReply(() => deeds.push(`${name} after`))
  return { lamp: name, isOn }
}

export const lampSet = privilegedTool({
  ...lamp,
  name: 'lamp_set',
  role: 'operator',
  privileged: { subjects: ({ lamp: name }) => [{ list: 'pins', name }], perform: set },
  simulate: (input) => input,
})

export const lampBlow = privilegedTool({
  ...lamp,
  name: 'lamp_blow',
  role: 'admin',
  privileged: { minIntervalMs: () => 60_000, perform: set },
})

let release = (): void => {}
export const letGo = (): void => release()

export const lampWatch = privilegedTool({
  name: 'lamp_watch',
  title: 'Watch a lamp',
  description: 'Tells of a lamp, when it is let go.',
  input: z.strictObject({ wait: z.boolean().default(false), fill: z.int().min(0).max(1_000_000).default(0) }),
  output: z.object({ seen: z.string() }),
  annotations: { readOnlyHint: true },
  role: 'viewer',
  effect: 'observe',
  privileged: {
    async perform(_needs, { wait, fill }, { signal }) {
      if (wait)
        await new Promise<void>((resolve, reject) => {
          release = resolve
          signal.addEventListener('abort', () => reject(new Error('told to stop')), { once: true })
        })
      return { seen: 'x'.repeat(fill) }
    },
  },
})

export const lampTools: readonly ToolSource<MachineNeeds>[] = [lampSet, lampBlow, lampWatch].map((tool) => ({
  load: async () => ({ default: tool as unknown as Awaited<ReturnType<ToolSource<MachineNeeds>['load']>>['default'] }),
}))
