// The shapes of what tools take and answer about devices, and how what is simulated is marked.
import { z } from 'zod'
import type { Call } from '../../base/mcp/tool/tool.ts'
import { orUnavailable } from '../answers.ts'
import type { Hardware, PinState } from './ports.ts'

/** True in every answer that no real device gave. */
export const simulated = z.literal(true).optional().describe('Present when no real device was touched.')

/** Marks what a simulated device answered. */
export function marked<T extends object>(
  { simulated: why }: Pick<Hardware, 'simulated'>,
  call: Pick<Call, 'simulated'>,
  answer: T,
): T & { simulated?: true } {
  if (why === undefined) return answer
  call.simulated(why)
  return { ...answer, simulated: true }
}

export const chipName = z
  .string()
  .regex(/^gpiochip\d{1,3}$/)
  .default('gpiochip0')
  .describe('The GPIO chip; the pins of the header of a Raspberry Pi are gpiochip0.')
export const pinNumber = z.int().min(0).max(1023).describe('The line of the chip; on a Raspberry Pi the BCM number (GPIO17 is 17).')
export const level = z.enum(['low', 'high'])
export const pull = z.enum(['up', 'down', 'none'])
export const durationMs = z
  .int()
  .min(1)
  .max(600_000)
  .optional()
  .describe('After so many milliseconds, what was before comes back, even if the helper is killed meanwhile. Without it the change stays.')

export const pinState = z.object({
  chip: z.string(),
  pin: z.int(),
  name: z.string().optional(),
  direction: z.enum(['input', 'output']),
  level: orUnavailable(level),
  pull: pull.optional(),
  otherFunction: z.string().optional().describe('What the pin does instead of being a GPIO line, such as SDA1.'),
  heldBy: z.string().optional().describe('Who holds the line; fairlead is the helper.'),
  wave: z.object({ frequencyHz: z.number(), dutyPercent: z.number() }).optional(),
  restoredInMs: z.int().optional().describe('When what was before comes back.'),
})

/** A pin in a sandbox: what was asked for, and nothing else. */
export function pretended(chip: string, pin: number, state: Partial<PinState> = {}): PinState & { simulated: true } {
  return { chip, pin, direction: 'input', level: { unavailable: 'the sandbox keeps devices from being read' }, ...state, simulated: true }
}

export const bus = z.int().min(0).max(255).describe('The I2C bus: 1 is the one on the header of a Raspberry Pi.')
/** 0x00–0x07 and 0x78–0x7f are kept for other things by the I2C specification. */
export const address = z.int().min(0x08).max(0x77).describe('The 7-bit address, as a number: 118 is 0x76.')
export const byte = z.int().min(0).max(255)
export const register = byte.optional().describe('A register: this byte is written first.')
