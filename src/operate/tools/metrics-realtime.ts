// metrics_realtime: the sampled values as they are now.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { orUnavailable, time } from '../answers.ts'
import { type SeriesName, seriesMeaning, seriesNames } from '../metrics/series.ts'
import type { MachineNeeds } from '../needs.ts'

const values = Object.fromEntries(seriesNames.map((name) => [name, orUnavailable(z.number()).describe(seriesMeaning[name])])) as Record<
  SeriesName,
  ReturnType<typeof orUnavailable<z.ZodNumber>>
>

export default tool({
  name: 'metrics_realtime',
  title: 'Metrics now',
  description:
    'The values that are sampled over time, as they are at this moment: CPU, memory and disk use, temperature. CPU use is that since a moment ago, at most a minute. For what was before use metrics_query; for each CPU, disk and sensor system_get_health_snapshot.',
  input: z.strictObject({}),
  output: z.object({ time, values: z.object(values) }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ metrics, clock, config }: MachineNeeds, _input, { signal }) {
    let seen = await metrics.realtime()
    if (!seen.values.has('cpu_percent') && seen.cpu) {
      await clock.wait(config.health.cpu_sample_ms, signal) // nobody has looked for a minute: there is nothing to compare with
      seen = await metrics.realtime()
    }
    return {
      time: new Date(clock.now()).toISOString(),
      values: Object.fromEntries(
        seriesNames.map((name) => [name, seen.values.get(name) ?? { unavailable: seen.missing.get(name) ?? 'it was not measured' }]),
      ) as Record<SeriesName, number | { unavailable: string }>,
    }
  },
})
