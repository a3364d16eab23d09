// The node's own operations: what `mcp` asks of an agent, over its UNIX sockets, HTTPS or a peer stream.
import { z } from 'zod'
import type { Api } from '../base/control/api.ts'
import { name, serviceText } from './service/config.ts'

const time = z.number().describe('ms since 1970')
const drift = z.strictObject({ cause: z.string(), field: z.string(), desired: z.string(), observed: z.string() })
const image = z.strictObject({ reference: z.string(), digest: z.string() })

const container = z.strictObject({
  id: z.string(),
  name: z.string(),
  /** Of ours: `service/component`. */
  place: z.string().nullable(),
  state: z.enum(['created', 'running', 'exited']),
  image,
  pid: z.number().nullable(),
  startedAt: time.nullable(),
  exitCode: z.number().nullable(),
  restarts: z.number(),
  isStale: z.boolean(),
})

const event = z.strictObject({
  id: z.number(),
  time,
  service: z.string().nullable(),
  component: z.string().nullable(),
  /** `drift`, `mended`, `deployed`, `rolled-back`, `stopped`, `started`, `flapping`, `runtime-lost`, … */
  event: z.string(),
  detail: z.string(),
})

const deployment = z.strictObject({
  id: z.string(),
  service: z.string(),
  component: z.string(),
  image,
  at: time,
  outcome: z.enum(['underway', 'deployed', 'rolled-back', 'failed']),
  /** Why it went back, and the last lines that the failed container printed. */
  reason: z.string().nullable(),
  lastLines: z.array(z.string()).readonly(),
})

const component = z.strictObject({
  name: z.string(),
  desired: z.strictObject({ state: z.enum(['running', 'stopped']), image: z.string(), digest: z.string().nullable() }),
  observed: container.nullable(),
  health: z.enum(['healthy', 'unhealthy', 'starting', 'unknown', 'sealed']),
  reason: z.string().nullable(),
  drifts: z.array(drift).readonly(),
  isFlapping: z.boolean(),
})

const service = z.strictObject({
  name: z.string(),
  active: z.boolean(),
  onDrift: z.enum(['restart', 'redeploy', 'alert', 'ignore']),
  components: z.array(component).readonly(),
})

const change = z.strictObject({ field: z.string(), from: z.string(), to: z.string() })
const updatePlan = z.strictObject({
  component: z.string(),
  way: z.enum(['nothing', 'beside', 'in-place']),
  changes: z.array(change).readonly(),
  steps: z.array(z.string()).readonly(),
})

const deployed = z.strictObject({
  component: z.string(),
  outcome: z.enum(['unchanged', 'deployed', 'rolled-back', 'failed']),
  image,
  reason: z.string().nullable(),
  lastLines: z.array(z.string()).readonly(),
})

/** What is said on the way of a long operation. */
const progress = z.strictObject({
  component: z.string(),
  step: z.string(),
  text: z.string(),
  doneBytes: z.number().optional(),
  ofBytes: z.number().optional(),
})

const place = { service: name, component: name.optional() }
const simulated = { isSimulated: z.boolean() }

export const runApi = {
  status: {
    privilege: 'observe',
    summary: 'desired and observed state of every service, with drift and what happened last',
    input: z.strictObject({ service: name.optional(), events: z.int().min(0).max(1_000).default(10) }),
    output: z.strictObject({
      node: z.string(),
      runtime: z.string(),
      ...simulated,
      /** Of the list that this is made of. */
      observedAt: time,
      services: z.array(service).readonly(),
      unmanaged: z.array(container).readonly(),
      events: z.array(event).readonly(),
      /** ms since 1970; null without a certificate. */
      certificateExpiresAt: time.nullable(),
    }),
  },
  'list-containers': {
    privilege: 'observe',
    summary: 'all containers as they are now',
    input: z.strictObject({}),
    output: z.strictObject({ ...simulated, containers: z.array(container).readonly() }),
  },
  'list-services': {
    privilege: 'observe',
    summary: 'what is registered, without asking the runtime',
    input: z.strictObject({}),
    output: z
      .array(
        z.strictObject({
          name,
          active: z.boolean(),
          /** None for a definition of another version of us that is not understood. */
          components: z.array(z.strictObject({ name, image: z.string() })).readonly(),
          updatedAt: time,
          digests: z.record(z.string(), z.string()),
        }),
      )
      .readonly(),
  },
  'read-definitions': {
    privilege: 'change', // values of variables stand in them
    tells: true,
    summary: 'the definitions as they are registered: of one service, or of all',
    input: z.strictObject({ service: name.optional() }),
    output: z.array(z.strictObject({ name, text: serviceText })).readonly(),
  },
  'plan-service': {
    privilege: 'observe',
    summary: 'what a deployment would do, field by field',
    input: z.strictObject({ ...place, text: serviceText.optional() }),
    output: z.array(updatePlan).readonly(),
  },
  'list-deployments': {
    privilege: 'observe',
    summary: 'what was deployed when, newest first',
    input: z.strictObject({ ...place, most: z.int().min(1).max(1_000).default(20) }),
    output: z.array(deployment).readonly(),
  },
  'follow-events': {
    privilege: 'observe',
    summary: 'what happened, oldest first; with follow also what comes',
    input: z.strictObject({
      service: name.optional(),
      since: time.optional(),
      most: z.int().min(1).max(10_000).default(100),
      follow: z.boolean().default(false),
    }),
    stream: event,
    output: z.strictObject({}),
  },
  'follow-logs': {
    privilege: 'observe',
    summary: 'what a component printed',
    input: z.strictObject({
      ...place,
      tail: z.int().min(0).max(100_000).optional(),
      since: time.optional(),
      follow: z.boolean().default(false),
    }),
    stream: z.strictObject({ component: z.string(), time, stream: z.enum(['stdout', 'stderr']), text: z.string() }),
    output: z.strictObject({}),
  },
  'describe-node': {
    privilege: 'observe',
    summary: 'the machine: version, runtime, memory, disk',
    input: z.strictObject({}),
    output: z.strictObject({
      node: z.string(),
      version: z.string(),
      runtime: z.string(),
      ...simulated,
      uptimeSeconds: z.number(),
      memoryBytes: z.strictObject({ total: z.number(), free: z.number() }),
      diskBytes: z.strictObject({ total: z.number(), free: z.number() }),
      load: z.number(),
    }),
  },
  deploy: {
    privilege: 'change',
    summary: 'bring a service, or one component of it, to what its definition says',
    input: z.strictObject({ ...place, text: serviceText.optional() }),
    stream: progress,
    output: z.strictObject({ ...simulated, components: z.array(deployed).readonly() }),
  },
  rollback: {
    privilege: 'change',
    summary: 'bring back the image that ran well before',
    input: z.strictObject(place),
    stream: progress,
    output: z.strictObject({ ...simulated, components: z.array(deployed).readonly() }),
  },
  'set-active': {
    privilege: 'change',
    summary: 'stop a service for good, or start it',
    input: z.strictObject({ service: name, active: z.boolean() }),
    stream: progress,
    output: z.strictObject({ ...simulated, text: serviceText }),
  },
  unseal: {
    privilege: 'change',
    summary: 'hand a sealed component its password',
    input: z.strictObject({ ...place, password: z.string().min(1).max(4_096) }),
    output: z.strictObject({ unsealed: z.array(z.string()).readonly() }),
  },
  restart: {
    privilege: 'change',
    summary: 'restart the components of a service',
    input: z.strictObject(place),
    stream: progress,
    output: z.strictObject({ ...simulated, restarted: z.array(z.string()).readonly() }),
  },
  sync: {
    privilege: 'change',
    summary: 'take over definitions without touching what runs',
    input: z.strictObject({ texts: z.array(serviceText).max(10_000), isDryRun: z.boolean().default(false) }),
    output: z.strictObject({
      services: z
        .array(z.strictObject({ name, change: z.enum(['new', 'changed', 'same']), changes: z.array(change).readonly() }))
        .readonly(),
    }),
  },
  purge: {
    privilege: 'change',
    summary: 'forget what is gone and undefined',
    input: z.strictObject({ defined: z.array(z.string()).max(100_000), isDryRun: z.boolean().default(false), only: z.string().optional() }),
    output: z.strictObject({
      purged: z.array(z.string()).readonly(),
      refused: z.array(z.strictObject({ place: z.string(), reason: z.string() })).readonly(),
    }),
  },
  adopt: {
    privilege: 'change',
    summary: 'take over containers that run under the names of a service',
    input: z.strictObject({ service: name, text: serviceText.optional() }),
    stream: progress,
    output: z.strictObject({ ...simulated, adopted: z.array(z.string()).readonly(), missing: z.array(z.string()).readonly() }),
  },
  undeploy: {
    privilege: 'change',
    summary: 'stop a service for good and take its containers away; data folders stay',
    input: z.strictObject({ service: name }),
    stream: progress,
    output: z.strictObject({ ...simulated, removed: z.array(z.string()).readonly() }),
  },
} as const satisfies Api
