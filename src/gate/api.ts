// The gate's own operations, as its commands and a dashboard use them: what waits for a person, and what that person says; its connectors, and what an operator does with them.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'
import { callsApi } from './calls/api.ts'

const call = z.strictObject({
  id: z.string(),
  principal: z.string(),
  upstream: z.string(),
  tool: z.string(),
  /** JSON as it came, cut when it is long. */
  arguments: z.string(),
  askedAt: z.string(),
  expiresInMs: z.number(),
  /** Whether the client has a session that the answer may hold for. */
  hasSession: z.boolean(),
})

const held = z.strictObject({
  upstream: z.string(),
  tool: z.string(),
  fingerprint: z.string(),
  reasons: z.array(z.string()),
  /** The definition that was accepted, if one was and it is not too long to be kept. */
  before: z.string().optional(),
  now: z.string(),
})

const connectorNames = z
  .array(z.string().min(1).max(128))
  .min(1)
  .max(16)
  .refine((names) => new Set(names).size === names.length, 'must name each connector once')
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const dayMs = 86_400_000

const beat = z.strictObject({ event: z.string(), cycle_count: z.number(), emitted_at: z.string(), received_at: z.string() })

const connectorSession = z.strictObject({
  id: z.string(),
  instance: z.string(),
  version: z.string(),
  accepted_contexts: z.array(z.string()).readonly(),
  issued_at: z.string(),
  credential_expiry: z.string(),
  late_since: z.string().nullable(),
  heartbeat: beat.nullable(),
})

/** How a connector stands: no secret, and nothing that helps to guess one. Its members are named as in the connectors' own messages. */
const connector = z.strictObject({
  connector_id: z.string(),
  /** `alive`: a session beats. `late`: none beats in time. `quiet`: no session. `unissued`, `stale`: no credential, or none that is fresh. */
  status: z.enum(['frozen', 'unissued', 'stale', 'quiet', 'late', 'alive']),
  channels: z.array(z.string()).readonly(),
  capabilities: z.array(z.string()).readonly(),
  chakra: z.string(),
  window_hours: z.number(),
  /** Of the last rotation with proof; null: no credential was made yet. */
  rotated_at: z.string().nullable(),
  credential_expiry: z.string().nullable(),
  fingerprint: z.string().nullable(),
  rotation: z.strictObject({ fingerprint: z.string(), until: z.string(), proved: z.boolean() }).nullable(),
  frozen: z.strictObject({ since: z.string(), why: z.string() }).nullable(),
  sessions: z.array(connectorSession).readonly(),
})

const rotation = z.strictObject({
  state: z.enum(['offered', 'proved', 'done', 'undone', 'unknown']),
  /** When the overlap ends, in ms since 1970. */
  until: z.number().optional(),
})

const principal = z.strictObject({
  name: z.string(),
  /** How many tokens it may show, and the first 16 digits of the SHA-256 of each. */
  tokens: z.array(z.string()).readonly(),
  peers: z.array(z.string()).readonly(),
  mayReadMetrics: z.boolean(),
})

const finding = z.strictObject({
  name: z.string(),
  verdict: z.enum(['good', 'bad', 'unknown']),
  evidence: z.string(),
  about: z.string().optional(),
  remedy: z.string().optional(),
})

const changed = z.strictObject({ changed: z.boolean() })

const names = z.array(z.string()).readonly()
const reloaded = z.strictObject({
  /** Upstreams. */
  added: names,
  removed: names,
  changed: names,
  /** Of the configuration: those that hold now, and those that do not before a new start. */
  changedKeys: names,
  needsRestart: names,
})

const standing = z.enum(['good', 'bad', 'unknown', 'off'])

/** As `lookAround` of base/checks tells it. */
const status = z.strictObject({
  at: z.number(),
  machine: z.string(),
  version: z.string(),
  standing,
  sections: z
    .array(
      z.strictObject({
        name: z.string(),
        title: z.string(),
        standing,
        lines: z.array(z.strictObject({ name: z.string(), standing, text: z.string(), remedy: z.string().optional() })).readonly(),
      }),
    )
    .readonly(),
  events: z.array(z.strictObject({ capability: z.string(), at: z.number(), about: z.string(), text: z.string() })).readonly(),
})

const summary = z.strictObject({
  /** Empty when there is no HTTP. */
  url: z.string(),
  version: z.string(),
  /** ms since 1970. */
  startedAt: z.number(),
  health: z.enum(['ok', 'degraded', 'failing']),
  checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), reason: z.string(), remedy: z.string().optional() })).readonly(),
  upstreams: z.number(),
  sessions: z.number(),
  /** Calls that wait for a person's yes. */
  waiting: z.number(),
  /** Requests since it was started, by how they ended: `ok`, `tool_error`, `error`, `refused`, `notSent`, `unknown`, … */
  requests: z.record(z.string(), z.number()),
  /** Of a gate that shares its state with others: how many gates there are, and how the servers are that keep it, as far as they can say. */
  cluster: z
    .strictObject({
      gates: z.number(),
      servers: z
        .array(z.strictObject({ server: z.string(), is: z.enum(['leader', 'current', 'behind', 'away']), behind: z.number() }))
        .readonly(),
      problem: z.string().optional(),
    })
    .optional(),
  /** What it refused or could not do lately, newest first. */
  trouble: z.array(z.strictObject({ at: z.number(), about: z.string(), text: z.string() })).readonly(),
})

export const gateApi = {
  ...callsApi,
  summary: {
    privilege: 'observe',
    summary: 'how the gate is, what it counted, and what went wrong lately',
    input: z.strictObject({}),
    output: summary,
  },
  status: {
    privilege: 'observe',
    summary: 'how everything on this machine stands: every capability, not the gate alone',
    input: z.strictObject({}),
    output: status,
  },
  reload: { privilege: 'change', summary: 'read the configuration again', input: z.strictObject({}), output: reloaded },
  'sign-in': {
    privilege: 'administer',
    summary: 'a link that signs somebody in to the dashboard, once',
    input: z.strictObject({ principal: z.string().min(1).max(64).optional() }),
    output: z.strictObject({ url: z.string(), principal: z.string(), untilMs: z.number() }),
  },
  'list-calls': {
    privilege: 'change',
    tells: true,
    summary: "calls that wait for a person's yes",
    input: z.strictObject({}),
    output: z.array(call),
  },
  'decide-call': {
    privilege: 'change',
    summary: 'say yes or no to one of them',
    input: z.strictObject({
      id: z.string(),
      /** `once`: this call alone. The others allow the same call again: in the same session, or for so long. */
      decision: z.union([z.enum(['once', 'session', 'deny']), z.strictObject({ forMs: z.number().int().positive() })]),
    }),
    output: call,
  },
  'list-tools': {
    privilege: 'observe',
    summary: 'tools in quarantine, with the reasons',
    input: z.strictObject({}),
    output: z.array(held),
  },
  'accept-tool': {
    privilege: 'change',
    summary: 'accept the definition with this fingerprint as the one of the tool',
    input: z.strictObject({ upstream: z.string(), tool: z.string(), fingerprint: z.string() }),
    output: z.strictObject({ upstream: z.string(), tool: z.string(), fingerprint: z.string() }),
  },
  'list-principals': {
    privilege: 'observe',
    summary: 'who may come in, and with what: tokens are told by the beginning of their hash',
    input: z.strictObject({}),
    output: z.array(principal).readonly(),
  },
  'show-doctrine': {
    privilege: 'observe',
    summary: 'the doctrine of the connectors, asked now: each finding with its evidence and remedy',
    input: z.strictObject({}),
    output: z.array(finding).readonly(),
  },
  'list-connectors': {
    privilege: 'observe',
    summary: 'how the connectors stand',
    input: z.strictObject({}),
    output: z.array(connector).readonly(),
  },
  'rotate-connectors': {
    privilege: 'change',
    summary: 'begin to give connectors the credential with this hash; the same asked again begins nothing new',
    input: z.strictObject({ connectors: connectorNames, sha256, overlapMs: z.int().min(1).max(dayMs).default(600_000) }),
    output: rotation,
  },
  'show-rotation': {
    privilege: 'observe',
    summary: 'how far a rotation to this credential is',
    input: z.strictObject({ connectors: connectorNames, sha256 }),
    output: rotation,
  },
  'freeze-connectors': {
    privilege: 'change',
    summary: 'take the connectors out at once',
    input: z.strictObject({ why: z.string().min(1).max(256).default('an operator asked for it') }),
    output: changed,
  },
  'restore-connectors': { privilege: 'change', summary: 'end a freeze', input: z.strictObject({}), output: changed },
} as const satisfies Api

export type ReloadedGate = z.output<typeof reloaded>
export type WaitingCall = z.output<typeof call>
export type HeldTool = z.output<typeof held>
export type ConnectorState = z.output<typeof connector>
export type GatePrincipal = z.output<typeof principal>
export type Rotation = z.output<typeof rotation>
