// The settings of metrics: how often, and how long and how much is kept.
import { z } from 'zod'

export const leastIntervalSeconds = 5
export const mostIntervalSeconds = 3_600

export const metricsSettings = z.strictObject({
  sampling: z.boolean().default(true).describe('Whether sampling begins when the server starts.'),
  sampling_interval_seconds: z
    .int()
    .min(leastIntervalSeconds)
    .max(mostIntervalSeconds)
    .default(30)
    .describe(
      "How often a sample is taken, in seconds; always at whole multiples of it on the clock, so that machines' samples fit together.",
    ),
  retention_days: z.int().min(1).max(3_650).default(30).describe('For how many days each sample is kept.'),
  rollup_retention_days: z
    .int()
    .min(1)
    .max(3_650)
    .default(365)
    .describe('For how many days the roll-ups of 5 minutes and of an hour are kept (count, least, most and sum).'),
  max_size_mb: z
    .int()
    .min(1)
    .max(100_000)
    .default(256)
    .describe('How large the database may get, in MiB: above it the oldest goes first, and its space is given back.'),
  storage_path: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The database; metrics/metrics.db in the state folder by default (/var/lib/mcp-raspi/metrics/metrics.db under the runbook's name).",
    ),
})

export type MetricsSettings = z.output<typeof metricsSettings>
