// gpio_get_all_states: the lines of one GPIO chip, a page at a time.
import { z } from 'zod'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { chipName, marked, pinState, simulated } from '../hardware/answers.ts'
import { isKnown } from '../host.ts'
import { privilegedTool } from '../helper/privileged.ts'

export default privilegedTool({
  name: 'gpio_get_all_states',
  title: 'All GPIO pins',
  description:
    'The GPIO chips of this machine, and the pins of one of them with direction, pull, who holds them, and whether they may be used. The level of a pin that may not be used is not told; ' +
    'that of one which nobody holds may need gpio_read_pin. Pages by nextCursor.',
  input: z.strictObject({
    chip: chipName,
    limit: z.int().min(1).max(128).default(64).describe('How many pins to return.'),
    cursor: z.string().max(200).optional().describe('nextCursor of the page before, with otherwise the same arguments.'),
  }),
  output: z.object({
    chips: z.array(z.object({ name: z.string(), label: z.string(), lines: z.int() })),
    pins: z.array(pinState.extend({ isAllowed: z.boolean() })),
    total: z.int().describe('Pins of the chip.'),
    nextCursor: z.string().optional().describe('Absent on the last page.'),
    simulated,
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'sense',
  privileged: {
    async perform({ hardware, allows }, { chip, limit, cursor }, call) {
      const from = cursor === undefined ? 0 : decodeCursor(cursor, chip).id
      const [chips, { pins, total }] = await Promise.all([hardware.gpio.chips(), hardware.gpio.states(chip, from, limit)])
      const shown = pins.map((each) => {
        const isAllowed = allows('pins', `${chip}:${each.pin}`)
        return { ...each, isAllowed, ...(isAllowed ? {} : { level: { unavailable: 'helper.allow.pins does not name it' } }) }
      })
      const next = from + pins.length
      return marked(hardware, call, {
        chips: isKnown(chips) ? [...chips] : [],
        pins: shown,
        total,
        ...(pins.length > 0 && next < total ? { nextCursor: encodeCursor({ order: chip, value: next, id: next }) } : {}),
      })
    },
  },
  simulate: () => ({ chips: [], pins: [], total: 0, simulated: true as const }),
})
