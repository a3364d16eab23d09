// gpio_set_pwm: switches one GPIO line on and off at a rate: light that is dimmed, a servo, a blink.
import { z } from 'zod'
import { chipName, durationMs, marked, pinNumber, pinState, pretended, simulated } from '../hardware/answers.ts'
import { safeStateOf } from '../hardware/hardware.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'gpio_set_pwm',
  title: 'Pulse a GPIO pin',
  description:
    'Switches a GPIO pin on and off by software (PWM), `frequencyHz` times a second and on for `dutyPercent` of the time: good for lights and slow switching, not for what needs exact pulses. ' +
    'It goes on until gpio_write_pin or gpio_configure_pin is called for this pin, or `durationMs` is over.',
  input: z.strictObject({
    chip: chipName,
    pin: pinNumber,
    frequencyHz: z.number().min(0.1).max(500),
    dutyPercent: z.number().min(0).max(100),
    durationMs,
  }),
  output: pinState.extend({ simulated }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ chip, pin }) => [{ list: 'pins', name: `${chip}:${pin}` }],
    async perform({ hardware, config }, { chip, pin, frequencyHz, dutyPercent, durationMs: lasting }, call) {
      const until = { safe: safeStateOf(config.hardware, chip, pin), durationMs: lasting }
      return marked(hardware, call, await hardware.gpio.pulse({ chip, pin }, { frequencyHz, dutyPercent }, until))
    },
  },
  simulate: ({ chip, pin, frequencyHz, dutyPercent }) => pretended(chip, pin, { direction: 'output', wave: { frequencyHz, dutyPercent } }),
})
