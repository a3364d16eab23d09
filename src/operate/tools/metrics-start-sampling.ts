// metrics_start_sampling: begins to sample, or goes on in another interval.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { sampling } from '../answers.ts'
import { samplingAnswer } from '../metrics/sampling.ts'
import { leastIntervalSeconds, mostIntervalSeconds } from '../metrics/settings.ts'
import type { MachineNeeds } from '../needs.ts'

export default tool({
  name: 'metrics_start_sampling',
  title: 'Start sampling',
  description:
    'Begins to sample CPU, memory, disk and temperature, at whole multiples of the interval on the clock; in another interval if it goes on already. Until the server is restarted: then its configuration decides.',
  input: z.strictObject({
    interval_seconds: z
      .int()
      .min(leastIntervalSeconds)
      .max(mostIntervalSeconds)
      .optional()
      .describe('How often; as configured by default.'),
  }),
  output: sampling,
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  async handle({ metrics }: MachineNeeds, { interval_seconds }) {
    metrics.startSampling(interval_seconds)
    return samplingAnswer(metrics)
  },
  simulate: ({ metrics }) => samplingAnswer(metrics),
})
