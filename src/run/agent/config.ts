// The settings of a node's agent: `mcp-agent.toml`.
import { z } from 'zod'
import { duration } from '../../base/config/duration.ts'
import { name } from '../service/config.ts'
import { role } from '../token/api.ts'

const absolute = z.string().regex(/^\//, 'must be an absolute path')

export const agentFile = z.strictObject({
  agent: z
    .strictObject({
      node_name: name.optional().describe('What definitions call this machine; its host name by default.'),
      container_runtime: z.string().default('podman').describe('podman, process (plain processes) or memory (simulated).'),
      podman_socket: absolute.optional().describe("The socket of podman's API; by default that of this user."),
      services: absolute.optional().describe('Where the data folders of services are: /srv.'),
    })
    .prefault({}),
  server: z
    .strictObject({
      listen: z
        .string()
        .optional()
        .describe('Where it answers with HTTPS and bearer tokens, such as 100.64.0.7:9444. Without it: its sockets alone.'),
      tls_cert: absolute
        .optional()
        .describe('Its certificate and those above it (PEM); certs/cert.pem by default. A changed file is taken up within 10 s.'),
      tls_key: absolute.optional().describe('certs/key.pem by default.'),
    })
    .prefault({}),
  validator: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }).describe('Asked about tokens that are none of ours: https://id.example.org/v1/token/validate.'),
      ca: absolute.optional().describe('The certificate authority that is believed for it (PEM file), instead of those of the system.'),
      roles: z
        .record(z.string(), role)
        .default({})
        .describe('What its roles are here: staff = "operator". Those that are called viewer, operator and admin there need no line.'),
    })
    .optional(),
  monitor: z
    .strictObject({
      interval: duration({ leastMs: 500, mostMs: 3_600_000 })
        .prefault('5s')
        .describe('How often everything is listed, besides what hints say.'),
      alert: z
        .array(z.string())
        .default([])
        .describe('The argv of a command that tells somebody; what happened is in FAIRLEAD_* variables.'),
      cooldown: duration().prefault('15m').describe('A place that was told of is not told of again for so long.'),
      flap_count: z.int().min(2).max(1_000).default(3),
      flap_window: duration({ leastMs: 1_000 }).prefault('10m').describe('So many drifts within that time are flapping.'),
      keep_events: duration({ leastMs: 60_000 }).prefault('30d'),
    })
    .prefault({}),
})

export type AgentConfig = z.output<typeof agentFile>
