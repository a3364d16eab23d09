// gpio_read_pin: the state of one GPIO line, without changing it.
import { z } from 'zod'
import { chipName, marked, pinNumber, pinState, pretended, simulated } from '../hardware/answers.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'gpio_read_pin',
  title: 'Read a GPIO pin',
  description:
    'Level, direction and pull of one GPIO pin. Nothing is reconfigured: a level that could only be read by changing the pin is `unavailable` with the reason.',
  input: z.strictObject({ chip: chipName, pin: pinNumber }),
  output: pinState.extend({ simulated }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'sense',
  privileged: {
    subjects: ({ chip, pin }) => [{ list: 'pins', name: `${chip}:${pin}` }],
    perform: async ({ hardware }, { chip, pin }, call) => marked(hardware, call, await hardware.gpio.read({ chip, pin })),
  },
  simulate: ({ chip, pin }) => pretended(chip, pin),
})
