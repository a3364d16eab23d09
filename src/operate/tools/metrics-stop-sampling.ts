// metrics_stop_sampling: samples no more.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { sampling } from '../answers.ts'
import { samplingAnswer } from '../metrics/sampling.ts'
import type { MachineNeeds } from '../needs.ts'

export default tool({
  name: 'metrics_stop_sampling',
  title: 'Stop sampling',
  description: 'Samples no more, until metrics_start_sampling or a restart of the server. What was sampled stays.',
  input: z.strictObject({}),
  output: sampling,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  async handle({ metrics }: MachineNeeds) {
    metrics.stopSampling()
    return samplingAnswer(metrics)
  },
  simulate: ({ metrics }) => samplingAnswer(metrics),
})
