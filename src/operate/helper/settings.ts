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

export const helperSettings = z.strictObject({
  server_max_role: z
    .enum(roles)
    .default('viewer')
    .describe(
      'What the server may have done when it shows no grant of somebody who is believed: the most that whoever takes it over can do.',
    ),
  allow: allow.prefault({}).describe('What privileged tools may touch.'),
})
