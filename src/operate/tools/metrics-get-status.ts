// metrics_get_status: whether the machine is sampled, and how well.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { sampling } from '../answers.ts'
import { samplingAnswer } from '../metrics/sampling.ts'
import type { MachineNeeds } from '../needs.ts'

export default tool({
  name: 'metrics_get_status',
  title: 'Sampling of metrics',
  description: 'Whether this machine is sampled, how often, when last, where the samples are kept and how much room they take.',
  input: z.strictObject({}),
  output: sampling,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ metrics }: MachineNeeds) {
    return samplingAnswer(metrics)
  },
})
