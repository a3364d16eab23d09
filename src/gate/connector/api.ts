// The messages of connectors, member by member: what is not named here is refused.
import { z } from 'zod'

/** The one context that connectors work in. */
export const stageContext = 'stage-b-rehearsal'

const maxContexts = 16
const word = z.string().min(1).max(128)
const instant = z.string().max(64)

const context = z.strictObject({
  name: word,
  channels: z.array(word).max(32),
  capabilities: z.array(word).max(32),
})

export const handshakeSchema = z.strictObject({
  identity: z.strictObject({ connector_id: word, version: word, instance: word }),
  supported_contexts: z.array(context).min(1).max(maxContexts),
  rotation: z.strictObject({
    last_rotated: instant.nullable().describe('ISO 8601 with a zone; null: the holder does not know, the gate does.'),
    rotation_window: z.string().max(64),
    supports_hot_swap: z.boolean(),
    token_hint: z.string().max(256),
  }),
})

export const heartbeatSchema = z.strictObject({
  event: z.enum(['stage-b-smoke', 'stage-b-heartbeat']).default('stage-b-heartbeat'),
  chakra: word,
  cycle_count: z.int().min(0),
  context: z.literal(stageContext),
  credential_expiry: instant,
  emitted_at: instant,
})

export const commandSchema = z.strictObject({
  command: z
    .string()
    .max(256)
    .regex(/^[a-z0-9][a-z0-9-]*?__.+$/, 'must be UPSTREAM__TOOL'),
  arguments: z.record(z.string(), z.unknown()).default({}),
})

export const briefSchema = z.strictObject({
  priority_map: z.record(z.string(), z.unknown()),
  current_status: z.union([z.string(), z.record(z.string(), z.unknown())]),
  open_issues: z.array(z.unknown()).max(1_000),
})

export type Handshake = z.output<typeof handshakeSchema>
export type Heartbeat = z.output<typeof heartbeatSchema>
