// The section `helper` of the configuration: what the privileged half does, and for whom. The helper reads it from a file that only root can write.
import { z } from 'zod'
import { roles } from '../../base/mcp/tool/tool.ts'

const allowed = (what: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z
    .array(z.string().min(1).max(256))
    .max(1_000)
    .default([])
    .describe(`${what} that may be touched; * stands for any characters; an empty list allows nothing.`)

const allow = z.strictObject({
  units: allowed('The units of systemd, such as nginx.service,'),
  processes: allowed('The processes, by command name,'),
  pins: allowed('The GPIO lines, as chip:line, such as gpiochip0:17,'),
  i2c: allowed('The I2C devices, as bus:address, such as 1:0x76,'),
  cameras: allowed('The cameras, by name,'),
  interfaces: allowed('The network interfaces'),
})

/** The lists by which a privileged tool is kept to what it is for. */
export type AllowList = keyof z.output<typeof allow>

const grants = z.strictObject({
  issuers: z
    .array(z.string().regex(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/, 'a peer id, 12D3KooW…'))
    .max(64)
    .default([])
    .describe('The peer ids whose signed grants are believed: a gate in front of the server, for example.'),
  audience: z
    .string()
    .min(1)
    .max(128)
    .default('raspi-ops-agent')
    .describe('The name by which grants are for this helper; give each machine its own where an issuer serves several.'),
})

export const helperSettings = z.strictObject({
  socket: z
    .string()
    .optional()
    .describe("The socket at which the helper listens and the server asks; the runtime folder's ops-agent.sock by default."),
  ledger: z
    .string()
    .min(1)
    .default('/var/log/mcp-raspi-agent/ledger')
    .describe('The folder of the record of all that was asked of the helper; it must be one that only root can write.'),
  server_max_role: z
    .enum(roles)
    .default('viewer')
    .describe(
      'What the server may have done when it shows no grant of somebody who is believed: the most that whoever takes it over can do.',
    ),
  grants: grants.prefault({}).describe('Who may say which role somebody has.'),
  allow: allow.prefault({}).describe('What privileged tools may touch.'),
  changes_per_minute: z
    .int()
    .min(1)
    .max(100_000)
    .default(60)
    .describe('How often each tool may change something, for whoever shows a grant, and for all others together.'),
  max_connections: z.int().min(1).max(1_000).default(16).describe('Connections to the socket at one time.'),
  max_calls: z.int().min(1).max(10_000).default(256).describe('Calls at work for one connection; more of them wait outside.'),
})

export const powerSettings = z.strictObject({
  allow_reboot: z.boolean().default(false).describe('Whether system_reboot may be called.'),
  allow_shutdown: z.boolean().default(false).describe('Whether system_shutdown may be called: nobody can undo it from afar.'),
  min_reboot_interval_seconds: z
    .int()
    .min(0)
    .max(2_592_000)
    .default(3_600)
    .describe('The machine has been up for so long before it is rebooted or turned off: so that it cannot be kept from working.'),
})
