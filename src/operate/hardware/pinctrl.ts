// What `pinctrl get` of Raspberry Pi OS prints of its pins: it looks at the registers, and touches nothing; pure functions.
import type { Level, Pull } from './ports.ts'

export type PinRegister = {
  readonly pin: number
  readonly direction: 'input' | 'output'
  readonly level?: Level
  readonly pull?: Pull
  readonly otherFunction?: string
}

const pulls: Readonly<Record<string, Pull>> = { pu: 'up', pd: 'down', pn: 'none' }

/** Lines such as `17: op dl pn | lo // GPIO17 = output`, ` 2: a0    pu | hi // GPIO2 = SDA1`; others are left out. */
export function parsePinctrl(text: string): PinRegister[] {
  return text.split('\n').flatMap((line): PinRegister[] => {
    const match = /^\s*(\d+):\s+(\w+)\s+(?:(?:dh|dl|--)\s+)?(?:(pu|pd|pn)\s+)?\|\s*(hi|lo|--)\s*(?:\/\/\s*\S+\s*=\s*(.+?))?\s*$/.exec(line)
    if (!match) return []
    const [, pin, mode, pull, level, words] = match
    const isPlain = ['ip', 'op', 'no', 'gpio'].includes(mode!)
    return [
      {
        pin: Number(pin),
        direction: mode === 'op' ? 'output' : 'input',
        ...(level === '--' ? {} : { level: level === 'hi' ? 'high' : 'low' }),
        ...(pull ? { pull: pulls[pull]! } : {}),
        ...(isPlain ? {} : { otherFunction: words ?? mode! }),
      },
    ]
  })
}
