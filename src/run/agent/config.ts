// The settings of a node's agent: `mcp-agent.toml`.
import { z } from 'zod'
import { credential } from '../../base/config/credential.ts'
import { duration } from '../../base/config/duration.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { role } from '../token/api.ts'
import { name } from '../service/config.ts'

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
      tls_cert: absolute.optional().describe('certs/cert.pem by default.'),
      tls_key: absolute.optional().describe('certs/key.pem by default.'),
      names: z
        .array(z.string())
        .max(64)
        .default([])
        .describe(
          'Host names and addresses in its certificate, besides node_name, the host name and that of listen (0.0.0.0: all addresses of the machine).',
        ),
    })
    .refine(({ tls_cert, tls_key }) => (tls_cert === undefined) === (tls_key === undefined), 'tls_cert and tls_key go together')
    .prefault({}),
  pki: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }).describe('A PKI engine that makes the certificate, with POST /v1/engine/request.'),
      ca: absolute.optional().describe('The certificate authority of that address (PEM).'),
      mount: z.string().default('pki'),
      issuer: z.string().default('web'),
      ttl: z
        .string()
        .regex(/^\d{1,6}h$/)
        .default('2160h'),
      token: credential.describe('Its bearer token, such as { env = "METACRYPT_TOKEN" }.'),
    })
    .optional()
    .describe('Without it the node has an authority of its own.'),
  acme: z
    .strictObject({
      directory: z
        .url({ protocol: /^https$/ })
        .describe('The ACME server that makes the certificates of routes (l7): https://…/directory.'),
      terms_agreed: z.literal(true).describe('true says that you agree to its terms.'),
      contact: z.array(z.email()).max(8).default([]).describe('Where its messages go.'),
      ca: absolute.optional().describe('The certificate authority of that address (PEM).'),
      listen: z.string().default('0.0.0.0:80').describe('Where the agent answers while it looks: what port 80 of those names leads to.'),
    })
    .optional()
    .describe("Without it they are of the PKI, or of the node's own authority."),
  routes: z
    .strictObject({
      listen: z.string().describe('Where TLS is taken for the names of [[components.routes]], such as 0.0.0.0:443.'),
      max_connections: z.int().min(1).max(1_000_000).default(4_096),
      max_per_address: z.int().min(1).max(1_000_000).default(512),
    })
    .optional()
    .describe('Without it no routes are served.'),
  peers: z
    .strictObject({
      identity: absolute.describe('The folder of the identity that this node is for peers (its wallet.json).'),
      listen: z
        .string()
        .regex(/^(?:[\d.]+|\[[0-9a-f:.]+\]):\d{1,5}$/i, 'must be such as 0.0.0.0:8766')
        .default('0.0.0.0:8766')
        .describe('Where it is reached directly, unless another process is the host of that identity. Behind NAT its registry leads here.'),
      server: z.string().optional().describe('The registry to be known at; the last one registered with by default.'),
      allowed: z
        .array(
          z.strictObject({
            id: z.string().refine(isPeerId, 'must be a whole peer id'),
            name: z.string().min(1).max(64).describe('What the ledger calls it.'),
            role: role.default('viewer'),
            services: z
              .array(z.string())
              .min(1)
              .max(64)
              .default(['*'])
              .describe('Names of services, in which * stands for any characters.'),
          }),
        )
        .max(10_000)
        .default([])
        .describe('Who may call, and what.'),
    })
    .optional()
    .describe('Without it no peer is served.'),
  auth: z
    .strictObject({
      validator: z
        .url({ protocol: /^https?$/ })
        .optional()
        .describe('An identity service that is asked about tokens: …/v1/token/validate.'),
      ca: absolute.optional().describe('The certificate authority of that address (PEM).'),
      roles: z.record(z.string(), role).default({}).describe('What its roles are here.'),
    })
    .prefault({}),
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
  backups: z
    .strictObject({
      automatic: z.boolean().default(true).describe('Whether the agent copies its database and the data of every service by itself.'),
      every: duration({ leastMs: 60_000 }).prefault('1d'),
      keep: z.int().min(1).max(10_000).default(14).describe('So many backups of each service are kept.'),
      keep_for: duration({ leastMs: 60_000 }).prefault('90d').describe('Older ones go, but for the newest.'),
      folder: absolute.optional().describe('Where they are; backups/ beside this file by default. Better on another disk.'),
    })
    .prefault({}),
})

export type AgentConfig = z.output<typeof agentFile>
