// What the gate tells of the calls that went through it: those in its record, those that end now, and what was counted since it began.
import { z } from 'zod'
import type { Api } from '../../base/control/api.ts'

const maxFound = 1_000
const word = z.string().min(1).max(512)
const count = z.number()

/** A call with its end, or a refusal, as the record has it. */
const found = z.strictObject({
  seq: z.number(),
  time: z.string(),
  what: z.enum(['call', 'refusal']),
  outcome: z.string(),
  principal: z.string().optional(),
  upstream: z.string().optional(),
  method: z.string().optional(),
  name: z.string().optional(),
  reason: z.string().optional(),
  ms: z.number().optional(),
  trace: z.string().optional(),
  /** Of a refusal at a door: which, of what; `further`: so many more in the same second. */
  door: z.string().optional(),
  path: z.string().optional(),
  peer: z.string().optional(),
  further: z.number().optional(),
})

const searched = z.strictObject({
  from: z.number(),
  to: z.number(),
  entries: z.number(),
  intact: z.boolean(),
  firstBad: z.strictObject({ file: z.string(), line: z.number(), problem: z.string() }).optional(),
})

const ended = z.strictObject({
  /** ms since 1970. */
  time: z.number(),
  /** Nobody could be told who is refused at a door. */
  principal: z.string().optional(),
  upstream: z.string().optional(),
  method: z.string().optional(),
  /** Of the tool. */
  name: z.string().optional(),
  outcome: z.string(),
  ms: z.number().optional(),
  reason: z.string().optional(),
})

const calls = z.strictObject({
  principal: z.string(),
  upstream: z.string(),
  method: z.string(),
  tool: z.string(),
  /** How many ended how. */
  outcomes: z.record(z.string(), count),
})

/** Milliseconds, each an upper bound: a time is known by the bucket that it fell into. Null: longer than the last of them. */
const quantile = z.number().nullable()
const times = z.strictObject({
  upstream: z.string(),
  method: z.string(),
  tool: z.string(),
  count,
  meanMs: z.number(),
  p50Ms: quantile,
  p95Ms: quantile,
  p99Ms: quantile,
})

export const callsApi = {
  'search-calls': {
    privilege: 'observe',
    summary: 'calls and refusals in the record, the newest first, and whether what was read is what was written',
    input: z.strictObject({
      principal: word.optional(),
      upstream: word.optional(),
      tool: word.optional(),
      outcome: word.optional(),
      reason: word.optional(),
      fromMs: z.number().optional(),
      toMs: z.number().optional(),
      /** For the next page: the entry of the last one that was found. */
      before: z.int().min(1).optional(),
      limit: z.int().min(1).max(maxFound).default(100),
    }),
    output: z.strictObject({
      found: z.array(found).readonly(),
      more: z.boolean(),
      searched,
      /** How many entries the gate's identity has signed, and how many each witness has seen, the latest first. */
      signed: z.number(),
      witnessed: z.array(z.strictObject({ by: z.string(), at: z.number(), size: z.number() })).readonly(),
    }),
  },
  'count-calls': {
    privilege: 'observe',
    summary: 'what was counted since the gate began: calls by principal and tool, refusals, failures and times',
    input: z.strictObject({}),
    output: z.strictObject({
      /** ms since 1970. */
      since: z.number(),
      calls: z.array(calls).readonly(),
      times: z.array(times).readonly(),
      refusals: z.array(z.strictObject({ door: z.string(), kind: z.string(), count })).readonly(),
      failures: z.array(z.strictObject({ upstream: z.string(), fault: z.string(), count })).readonly(),
    }),
  },
  'watch-calls': {
    privilege: 'observe',
    summary: 'calls and refusals as they end',
    input: z.strictObject({}),
    /** `missed`: so many more that there was no room for. */
    stream: z.strictObject({ calls: z.array(ended).readonly(), missed: z.number() }),
    output: z.strictObject({}),
  },
} as const satisfies Api

export type FoundCall = z.output<typeof found>
export type EndedCall = z.output<typeof ended>
export type CallCounts = z.output<(typeof callsApi)['count-calls']['output']>
