// The section `hardware` of the configuration: which devices are used, and how they are left. What may be touched is said by `helper.allow`.
import { z } from 'zod'

/** What an output is when nobody holds it any more. `keep` leaves it as it is. */
export const safeStates = ['low', 'high', 'input', 'keep'] as const
export type SafeState = (typeof safeStates)[number]

const gpio = z.strictObject({
  safe_states: z
    .record(z.string().regex(/^gpiochip\d{1,3}:\d{1,4}$/, 'write it as chip:line, such as gpiochip0:17'), z.enum(safeStates))
    .default({})
    .describe(
      'What outputs are set to when the helper stops, by chip:line: low, high, input (drives nothing) or keep; input for those not named.',
    ),
})

const camera = z.strictObject({
  media_root: z.string().startsWith('/').default('/var/lib/mcp-raspi-agent/media').describe('The folder for photos.'),
  keep_photos: z.int().min(1).max(10_000).default(100).describe('How many photos are kept there; the oldest go first.'),
})

export const hardwareSettings = z.strictObject({
  backend: z
    .enum(['real', 'simulated'])
    .default('real')
    .describe('simulated: made-up pins, I2C devices, camera and sensor, for learning; every answer says so.'),
  gpio: gpio.prefault({}).describe('GPIO lines.'),
  camera: camera.prefault({}).describe('Cameras.'),
})
export type HardwareSettings = z.output<typeof hardwareSettings>
