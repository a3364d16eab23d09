// gpio_write_pin: drives one GPIO line low or high, for good or for a time.
import { z } from 'zod'
import { chipName, durationMs, level, marked, pinNumber, pinState, pretended, simulated } from '../hardware/answers.ts'
import { safeStateOf } from '../hardware/hardware.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'gpio_write_pin',
  title: 'Set a GPIO pin',
  description:
    'Makes a GPIO pin an output at this level. With `durationMs` what was before comes back by itself. When the helper stops, the pin is left in the safe state of the configuration.',
  input: z.strictObject({ chip: chipName, pin: pinNumber, level, durationMs }),
  output: pinState.extend({ simulated }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ chip, pin }) => [{ list: 'pins', name: `${chip}:${pin}` }],
    async perform({ hardware, config }, { chip, pin, level: wanted, durationMs: lasting }, call) {
      const until = { safe: safeStateOf(config.hardware, chip, pin), durationMs: lasting }
      return marked(hardware, call, await hardware.gpio.write({ chip, pin }, wanted, until))
    },
  },
  simulate: ({ chip, pin, level: wanted }) => pretended(chip, pin, { direction: 'output', level: wanted }),
})
