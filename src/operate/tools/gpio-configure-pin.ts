// gpio_configure_pin: makes one GPIO line an input or an output with a pull, or gives it back.
import { z } from 'zod'
import { chipName, durationMs, level, marked, pinNumber, pinState, pretended, pull, simulated } from '../hardware/answers.ts'
import { safeStateOf } from '../hardware/hardware.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'gpio_configure_pin',
  title: 'Configure a GPIO pin',
  description:
    'Sets the direction of a GPIO pin and its pull resistor, and holds it so; `release` leaves it in its safe state for other programs. Without `pull` the pull stays as it is.',
  input: z.strictObject({
    chip: chipName,
    pin: pinNumber,
    mode: z.enum(['input', 'output', 'release']),
    pull: pull.optional(),
    level: level.default('low').describe('Of an output, from the first moment on.'),
    durationMs,
  }),
  output: pinState.extend({ simulated }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ chip, pin }) => [{ list: 'pins', name: `${chip}:${pin}` }],
    async perform({ hardware, config }, { chip, pin, mode, pull: wanted, level: at, durationMs: lasting }, call) {
      if (mode === 'release') return marked(hardware, call, await hardware.gpio.release({ chip, pin }))
      const until = { safe: safeStateOf(config.hardware, chip, pin), durationMs: lasting }
      const made = { direction: mode, pull: wanted, level: mode === 'output' ? at : undefined }
      return marked(hardware, call, await hardware.gpio.configure({ chip, pin }, made, until))
    },
  },
  simulate: ({ chip, pin, mode, pull: wanted, level: at }) =>
    pretended(chip, pin, {
      ...(mode === 'output' ? { direction: 'output', level: at } : {}),
      ...(wanted ? { pull: wanted } : {}),
    }),
})
