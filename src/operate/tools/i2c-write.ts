// i2c_write: writes bytes to one I2C device.
import { z } from 'zod'
import { address, bus, byte, marked, register, simulated } from '../hardware/answers.ts'
import { i2cSubject } from '../hardware/i2c.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'i2c_write',
  title: 'Write to an I2C device',
  description: 'Writes up to 32 bytes to an I2C device, to a register if one is named. Refused while a driver of the kernel uses it.',
  input: z.strictObject({ bus: bus.default(1), address, register, bytes: z.array(byte).min(1).max(32) }),
  output: z.object({ bus: z.int(), address: z.int(), bytesWritten: z.int(), simulated }),
  annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: (input) => [{ list: 'i2c', name: i2cSubject(input.bus, input.address) }],
    async perform({ hardware }, input, call) {
      const first = input.register === undefined ? [] : [input.register]
      await hardware.i2c.transfer(input.bus, input.address, [...first, ...input.bytes], 0)
      return marked(hardware, call, { bus: input.bus, address: input.address, bytesWritten: input.bytes.length })
    },
  },
  simulate: (input) => ({ bus: input.bus, address: input.address, bytesWritten: input.bytes.length, simulated: true as const }),
})
