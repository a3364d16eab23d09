// i2c_read: reads bytes of one I2C device.
import { z } from 'zod'
import { address, bus, byte, marked, register, simulated } from '../hardware/answers.ts'
import { i2cSubject } from '../hardware/i2c.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'i2c_read',
  title: 'Read from an I2C device',
  description:
    'Reads up to 32 bytes of an I2C device, from a register if one is named. Some devices change by being read (a queue, a flag that clears): know the device. Refused while a driver of the kernel uses it.',
  input: z.strictObject({ bus: bus.default(1), address, register, length: z.int().min(1).max(32).default(1) }),
  output: z.object({ bus: z.int(), address: z.int(), bytes: z.array(byte).max(32), simulated }),
  annotations: { readOnlyHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'sense',
  privileged: {
    subjects: (input) => [{ list: 'i2c', name: i2cSubject(input.bus, input.address) }],
    async perform({ hardware }, input, call) {
      const written = input.register === undefined ? [] : [input.register]
      const bytes = [...(await hardware.i2c.transfer(input.bus, input.address, written, input.length))]
      return marked(hardware, call, { bus: input.bus, address: input.address, bytes })
    },
  },
  simulate: (input) => ({ bus: input.bus, address: input.address, bytes: [], simulated: true as const }),
})
