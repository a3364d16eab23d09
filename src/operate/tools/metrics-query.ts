// metrics_query: what was measured, in buckets of time.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { time } from '../answers.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { fault } from '../faults.ts'
import { type BucketWidth, asWidth, widthFor } from '../metrics/buckets.ts'
import { sourceOf } from '../metrics/samples.ts'
import { seriesNames } from '../metrics/series.ts'
import type { MachineNeeds } from '../needs.ts'

const usualRangeSeconds = 3_600
const order = 'time'

const input = z.strictObject({
  series: z
    .array(z.enum(seriesNames))
    .min(1)
    .max(seriesNames.length)
    .default([...seriesNames])
    .describe('Which of them; all by default.'),
  from: z.iso
    .datetime({ offset: true })
    .optional()
    .describe('Not before this time (ISO 8601), rounded down to a whole bucket; an hour before `to` by default.'),
  to: z.iso.datetime({ offset: true }).optional().describe('Before this time, rounded up to a whole bucket; now by default.'),
  bucket_seconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .optional()
    .describe(
      'The width of a bucket: at most 300, or a multiple of 300, or above 3600 a multiple of 3600. By default one that gives about 60 buckets.',
    ),
  limit: z.int().min(1).max(500).default(200).describe('How many buckets of time to look at in one call.'),
  cursor: z.string().max(200).optional().describe('nextCursor of the page before, with otherwise the same arguments.'),
})

const output = z.object({
  from: time,
  to: time,
  bucketSeconds: z.int(),
  madeOf: z.enum(['samples', 'roll-ups of 300 s', 'roll-ups of 3600 s']).describe('Samples are kept for a shorter time than roll-ups.'),
  series: z.array(
    z.object({
      name: z.enum(seriesNames),
      buckets: z
        .array(z.object({ time, count: z.int(), min: z.number(), avg: z.number(), max: z.number() }))
        .describe('In order of time; a bucket without a sample is left out.'),
    }),
  ),
  nextCursor: z.string().optional().describe('Absent on the last page.'),
})

const isoOf = (seconds: number): string => new Date(seconds * 1_000).toISOString()

/** Whole buckets that hold all of the range. */
function rangeOf(asked: z.output<typeof input>, nowMs: number): { fromSeconds: number; toSeconds: number; widthSeconds: BucketWidth } {
  const toGiven = Math.ceil((asked.to === undefined ? nowMs : Date.parse(asked.to)) / 1_000)
  const fromGiven = asked.from === undefined ? toGiven - usualRangeSeconds : Math.floor(Date.parse(asked.from) / 1_000)
  if (fromGiven >= toGiven) throw fault.bad_range({ problem: '`from` is not before `to`' })
  if (fromGiven < 0) throw fault.bad_range({ problem: '`from` is before 1970' })
  const widthSeconds = asked.bucket_seconds === undefined ? widthFor(toGiven - fromGiven) : asWidth(asked.bucket_seconds)
  if (widthSeconds === undefined) throw fault.bad_range({ problem: `buckets of ${asked.bucket_seconds} s are not made of whole roll-ups` })
  return {
    fromSeconds: Math.floor(fromGiven / widthSeconds) * widthSeconds,
    toSeconds: Math.ceil(toGiven / widthSeconds) * widthSeconds,
    widthSeconds,
  }
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000

export default tool({
  name: 'metrics_query',
  title: 'Metrics over time',
  description:
    'What this machine measured over time: CPU, memory, disk and temperature, as buckets with count, least, average and most. CPU, memory and disk use in percent, *_bytes in bytes, temperature in degrees Celsius; times in UTC. ' +
    'For the values of this moment use metrics_realtime.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  async handle({ metrics, clock }: MachineNeeds, asked) {
    const { fromSeconds: first, toSeconds: last, widthSeconds } = rangeOf(asked, clock.now())
    const fromSeconds = asked.cursor === undefined ? first : decodeCursor(asked.cursor, order).value
    if (fromSeconds % widthSeconds !== 0 || fromSeconds < first || fromSeconds >= last)
      throw fault.bad_cursor({ problem: 'it belongs to another range' })
    const toSeconds = Math.min(last, fromSeconds + asked.limit * widthSeconds)
    const names = [...new Set(asked.series)]
    const buckets = metrics.buckets({ fromSeconds, toSeconds, widthSeconds, names })
    const source = sourceOf(widthSeconds)
    return {
      from: isoOf(fromSeconds),
      to: isoOf(toSeconds),
      bucketSeconds: widthSeconds,
      madeOf: source === undefined ? ('samples' as const) : (`roll-ups of ${source} s` as const),
      series: names.map((name) => ({
        name,
        buckets: buckets
          .filter((bucket) => bucket.name === name)
          .map(({ at, count, sum, least, most }) => ({ time: isoOf(at), count, min: least, avg: rounded(sum / count), max: most })),
      })),
      ...(toSeconds < last ? { nextCursor: encodeCursor({ order, value: toSeconds, id: 0 }) } : {}),
    }
  },
})
