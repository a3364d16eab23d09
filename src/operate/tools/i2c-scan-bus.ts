// i2c_scan_bus: the devices of one I2C bus, found without disturbing them.
import { z } from 'zod'
import { asFault } from '../../kernel/fault.ts'
import { bus, marked, simulated } from '../hardware/answers.ts'
import { i2cSubject } from '../hardware/i2c.ts'
import type { I2c, I2cDevice } from '../hardware/ports.ts'
import { isKnown } from '../host.ts'
import { privilegedTool } from '../helper/privileged.ts'

const addresses = Array.from({ length: 0x78 - 0x08 }, (_, index) => 0x08 + index)

type Found = I2cDevice & { readonly foundBy: 'kernel' | 'answer' }

/** One byte is read from each, one after the other; those that the kernel uses are left alone. */
async function probe(i2c: I2c, on: number, wanted: readonly number[], signal: AbortSignal): Promise<Found[]> {
  const found: Found[] = []
  for (const address of wanted) {
    if (signal.aborted) break
    try {
      await i2c.transfer(on, address, [], 1)
      found.push({ address, foundBy: 'answer' })
    } catch (error) {
      const { code } = asFault(error)
      if (code !== 'hardware.no_answer' && code !== 'hardware.in_use') throw error
    }
  }
  return found
}

export default privilegedTool({
  name: 'i2c_scan_bus',
  title: 'Find I2C devices',
  description:
    'The I2C buses of this machine, and the devices of one bus that the kernel knows; nothing is sent over the bus for that. With `probe`, one byte is also read from each address of ' +
    'helper.allow.i2c that no driver uses: most devices do not mind, a few count such reads, so ask for it only where the devices are known. Addresses are numbers (118 is 0x76).',
  input: z.strictObject({ bus: bus.default(1), probe: z.boolean().default(false) }),
  output: z.object({
    buses: z.array(z.object({ bus: z.int(), name: z.string() })),
    devices: z.array(
      z.object({
        address: z.int(),
        name: z.string().optional(),
        driver: z.string().optional().describe('What the kernel uses it with: it is not for others then.'),
        foundBy: z.enum(['kernel', 'answer']),
        isAllowed: z.boolean(),
      }),
    ),
    probed: z.int().describe('Addresses from which a byte was read.'),
    simulated,
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'sense',
  limits: { timeoutMs: 60_000 },
  privileged: {
    async perform({ hardware, allows }, { bus: on, probe: isProbing }, call) {
      const { i2c } = hardware
      const [buses, known] = await Promise.all([i2c.buses(), i2c.known(on)])
      const isAllowed = (address: number): boolean => allows('i2c', i2cSubject(on, address))
      const wanted = isProbing ? addresses.filter((address) => isAllowed(address) && !known.some((each) => each.address === address)) : []
      const found: Found[] = [
        ...known.map((each) => ({ ...each, foundBy: 'kernel' as const })),
        ...(await probe(i2c, on, wanted, call.signal)),
      ]
      const devices = found.sort((a, b) => a.address - b.address).map((each) => ({ ...each, isAllowed: isAllowed(each.address) }))
      return marked(hardware, call, { buses: isKnown(buses) ? [...buses] : [], devices, probed: wanted.length })
    },
  },
  simulate: () => ({ buses: [], devices: [], probed: 0, simulated: true as const }),
})
