// What a running proxy tells of itself.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'
import { counts } from './counts.ts'
import { maxTtlMs } from './request/freshness.ts'

const sums = numbersNamed([...counts, 'hits', 'hit_rate', 'api_calls_saved'])
const kept = numbersNamed(['cache_size', 'cache_size_bytes', 'connected_peers'])

function numbersNamed<Name extends string>(names: readonly Name[]): Record<Name, z.ZodNumber> {
  return Object.fromEntries(names.map((name) => [name, z.number()])) as Record<Name, z.ZodNumber>
}

const name = z.string().min(1).max(1_024)
const time = z.number().describe('ms since 1970')

export const shareApi = {
  stats: {
    privilege: 'observe',
    summary: 'What was counted, and what is kept',
    input: z.strictObject({}),
    output: z.object({
      ...sums,
      ...kept,
      p2p_enabled: z.boolean(),
      peer_id: z.string().nullable(),
      group: z.object({ ...sums, members: z.number() }).optional(),
    }),
  },
  group: {
    privilege: 'observe',
    summary: 'How it meets the others of its group',
    input: z.strictObject({}),
    output: z.object({
      role: z.enum(['host', 'member', 'alone']),
      peer_id: z.string(),
      /** Of the same requests the key is the same only where this is. */
      scope: z.string(),
      /** Where others come to it; none: they do not. */
      addresses: z.array(z.string()),
      /** The members that are connected, or the host: peer ids, and since when. */
      connected: z.array(z.strictObject({ peer: z.string(), since: time })),
    }),
  },
  value: {
    privilege: 'observe',
    summary: 'What a program keeps under that name; no member `value` when there is none',
    input: z.strictObject({ name }),
    output: z.object({ value: z.unknown() }),
  },
  put: {
    privilege: 'change',
    summary: 'Keep a value under that name',
    input: z.strictObject({ name, value: z.unknown(), ttlMs: z.int().min(0).max(maxTtlMs) }),
    output: z.object({}),
  },
  invalidate: {
    privilege: 'change',
    summary: 'Forget what is kept under that name, everywhere',
    input: z.strictObject({ name }),
    output: z.object({}),
  },
  'show-history': {
    privilege: 'observe',
    summary: 'what was counted, over the last day, the oldest first; the last one is what there is now',
    input: z.strictObject({}),
    output: z.strictObject({
      samples: z
        .array(z.strictObject({ at: time, hits: z.number(), misses: z.number(), api_calls_made: z.number(), api_calls_saved: z.number() }))
        .readonly(),
    }),
  },
} as const satisfies Api

export type Told = z.infer<typeof shareApi.group.output>
