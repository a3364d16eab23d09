// system_get_capabilities: what this machine can do for whoever calls these tools, and why not.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { capabilitiesOf } from '../capabilities.ts'
import type { MachineNeeds } from '../needs.ts'

export default tool({
  name: 'system_get_capabilities',
  title: 'What this machine can do',
  description:
    'For each thing that these tools can be used for, whether this machine has it, and if not, what is missing and how to get it. No device is opened to find out. ' +
    'Whether a caller may use it, and which pins, devices and units, is another question: roles and allow-lists answer it when a tool is called.',
  input: z.strictObject({}),
  output: z.object({
    sandbox: z.enum(['disabled', 'partial', 'full']),
    isHardwareSimulated: z.boolean(),
    capabilities: z.array(
      z.object({
        name: z.string(),
        isAvailable: z.boolean(),
        found: z.array(z.string()).describe('Devices and programs that are there.'),
        missing: z.array(z.string()).describe('What is not, and why that matters.'),
      }),
    ),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle(needs: MachineNeeds) {
    const { testing, hardware } = needs.config
    return {
      sandbox: testing.sandbox_mode,
      isHardwareSimulated: hardware.backend === 'simulated',
      capabilities: await capabilitiesOf(needs),
    }
  },
})
