// The settings of the machine tools (config.yml): each with a description and a default.
import { z } from 'zod'
import { accessSettings } from './access/settings.ts'
import { credential } from '../base/config/credential.ts'
import { loggingSettings } from './logs/settings.ts'
import { metricsSettings } from './metrics/settings.ts'
import { roles, sandboxModes } from '../base/mcp/tool/tool.ts'
import { hardwareSettings } from './hardware/settings.ts'
import { helperSettings, powerSettings } from './helper/settings.ts'

const percentLimit = (what: string, standard: number): z.ZodDefault<z.ZodNumber> =>
  z.number().min(1).max(100).default(standard).describe(`Warn when ${what} is at least this many percent.`)

const health = z.strictObject({
  cpu_sample_ms: z.int().min(50).max(5_000).default(250).describe('How long CPU use is measured for a health snapshot, in milliseconds.'),
  cpu_percent: percentLimit('CPU use', 90),
  memory_percent: percentLimit('memory in use (all that is not available)', 90),
  swap_percent: percentLimit('swap in use', 80),
  disk_percent: percentLimit('a filesystem in use', 90),
  temperature_celsius: z.number().min(1).max(150).default(80).describe('Warn when a sensor reads at least this many degrees Celsius.'),
  least_free_mb: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(64)
    .describe('The server is not ready when less than this is free, in MiB, where it keeps its logs and metrics.'),
  load_per_cpu: z
    .number()
    .min(0.1)
    .max(1_000)
    .default(2)
    .describe('Warn when the load average of five minutes, divided by the number of CPUs, is at least this.'),
})

const server = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('The address to listen on. Anything but a loopback address needs a token.'),
  port: z.int().min(0).max(65_535).default(8_000).describe('The port to listen on; 0 takes any free one.'),
  token: credential
    .optional()
    .describe('The token that clients must show as Authorization: Bearer; without it, and without access, only this machine is answered.'),
  runtime: z
    .string()
    .optional()
    .describe("The folder for the sockets by which this server is offered to a gate; the runtime folder's machine/ by default."),
  role: z
    .enum(roles)
    .default('viewer')
    .describe(
      'The role of whoever shows server.token, or is on this machine where no credential is asked for; others have that of access.',
    ),
  max_sessions: z
    .int()
    .min(1)
    .max(10_000)
    .default(128)
    .describe('How many sessions of clients before protocol 2026-07-28 are kept; the one idle for longest makes room.'),
  session_idle_minutes: z.int().min(1).max(10_080).default(30).describe('A session without a request for this long is ended.'),
})

const testing = z.strictObject({
  sandbox_mode: z
    .enum(sandboxModes)
    .default('disabled')
    .describe('disabled: all is real. partial: reads are real, changes are not made. full: devices are not read either.'),
})

const config = z.strictObject({
  server: server.prefault({}).describe('Where and for whom the machine tools are served.'),
  access: accessSettings.prefault({}).describe('Who may come in over HTTP, and as what.'),
  hardware: hardwareSettings.prefault({}).describe('Devices: GPIO, I2C, cameras, sensors.'),
  health: health.prefault({}).describe('How health is measured, and from which values on it warns.'),
  helper: helperSettings.prefault({}).describe('What the privileged helper does, and for whom.'),
  logging: loggingSettings.prefault({}).describe('What is written down, and how long it is kept.'),
  metrics: metricsSettings.prefault({}).describe('What is measured over time, and how long it is kept.'),
  power: powerSettings.prefault({}).describe('Whether the machine may be rebooted or turned off, and how often.'),
  testing: testing.prefault({}).describe('Whether tools really do what they say.'),
})

export default config
export type OperateConfig = z.output<typeof config>
