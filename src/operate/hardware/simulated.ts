// Made-up devices for learning and for tests: they behave as real ones do, in memory, and every answer says that they are simulated.
import { crc32, deflateSync } from 'node:zlib'
import type { Clock } from '../../kernel/clock.ts'
import { writeWhole } from '../../kernel/file.ts'
import { type MediaSettings, keepPhoto } from './camera.ts'
import { fault } from './faults.ts'
import type { Gpio, Hardware, I2c, Level, Pin, PinState, Pull, Until, Wave } from './ports.ts'

const chip = { name: 'gpiochip0', label: 'simulated', lines: 28 }
const sensorAddress = 0x48
const registers = 256

type Line = { direction: 'input' | 'output'; level: Level; pull: Pull; isHeld: boolean; wave?: Wave | undefined }
type Kept = { line: Line; was?: Line; dueMs?: number; cancel?: () => void }

function simulatedGpio(clock: Clock): Gpio {
  const kept: Kept[] = Array.from({ length: chip.lines }, () => ({
    line: { direction: 'input', level: 'low', pull: 'none', isHeld: false },
  }))

  function at({ chip: name, pin }: Pin): Kept {
    if (name !== chip.name) throw fault.absent({ what: 'GPIO', reason: `the simulation has no ${name}, only ${chip.name}` })
    const found = kept[pin]
    if (!found) throw fault.no_line({ chip: name, line: pin, reason: `it has ${chip.lines} lines` })
    return found
  }
  function stateOf({ chip: name, pin }: Pin): PinState {
    const { line, dueMs } = at({ chip: name, pin })
    const { direction, level, pull, isHeld, wave } = line
    return {
      chip: name,
      pin,
      name: `GPIO${pin}`,
      direction,
      level,
      pull,
      ...(isHeld ? { heldBy: 'fairlead' } : {}),
      ...(wave ? { wave } : {}),
      ...(dueMs === undefined ? {} : { restoredInMs: Math.max(0, Math.round(dueMs - clock.mono())) }),
    }
  }
  function change(pin: Pin, made: Partial<Line>, { durationMs }: Pick<Until, 'durationMs'>): PinState {
    const one = at(pin)
    one.cancel?.()
    const was = one.was ?? { ...one.line }
    one.line = { ...one.line, wave: undefined, isHeld: true, ...made }
    kept[pin.pin] = { line: one.line }
    if (durationMs) {
      const cancel = clock.after(durationMs, () => (kept[pin.pin] = { line: was }))
      kept[pin.pin] = { line: one.line, was, dueMs: clock.mono() + durationMs, cancel }
    }
    return stateOf(pin)
  }

  return {
    chips: async () => [chip],
    async states(name, from, count) {
      at({ chip: name, pin: 0 })
      const pins = kept.slice(from, from + count).map((_, index) => stateOf({ chip: name, pin: from + index }))
      return { pins, total: chip.lines }
    },
    read: async (pin) => stateOf(pin),
    write: async (pin, level, until) => change(pin, { direction: 'output', level }, until),
    configure: async (pin, { direction, pull = at(pin).line.pull, level }, until) =>
      change(pin, { direction, pull, level: level ?? (direction === 'input' && pull === 'up' ? 'high' : 'low') }, until),
    pulse: async (pin, wave, until) => change(pin, { direction: 'output', level: wave.dutyPercent > 0 ? 'high' : 'low', wave }, until),
    async release(pin) {
      change(pin, { direction: 'input', level: 'low', isHeld: false }, {})
      return stateOf(pin)
    },
    async close() {},
  }
}

/** Bus 1 with one device of 256 registers: the first byte written says where reading or writing begins. */
function simulatedI2c(): I2c {
  const memory: number[] = Array.from({ length: registers }, (_, index) => (index === 0 ? 0x19 : 0)) // 25 °C as a TMP102 says it
  let at = 0
  const refuse = (bus: number): void => {
    if (bus !== 1) throw fault.absent({ what: `I2C bus ${bus}`, reason: 'the simulation has bus 1 only' })
  }
  return {
    buses: async () => [{ bus: 1, name: 'simulated' }],
    async known(bus) {
      refuse(bus)
      return []
    },
    async transfer(bus, address, bytes, length) {
      refuse(bus)
      if (address !== sensorAddress)
        throw fault.no_answer({ what: `the device 0x${address.toString(16)} of I2C bus 1`, reason: 'nothing acknowledged' })
      const [place, ...values] = bytes
      if (place !== undefined) at = place
      for (const [index, value] of values.entries()) memory[(at + index) % registers] = value
      return Array.from({ length }, (_, index) => memory[(at + index) % registers]!)
    },
  }
}

/** A grey picture that goes from dark to light, as PNG (RFC 2083). */
export function simulatedPicture(width: number, height: number): Buffer {
  const part = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    size.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([size, body, sum])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 0, 0, 0, 0], 8) // eight bits of grey
  const row = Buffer.from([0, ...Array.from({ length: width }, (_, x) => Math.floor((x * 256) / width))])
  const rows = Buffer.concat(Array.from({ length: height }, () => row))
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([signature, part('IHDR', header), part('IDAT', deflateSync(rows)), part('IEND', Buffer.alloc(0))])
}

export function simulatedHardware({ clock }: { readonly clock: Clock }, media: MediaSettings): Hardware {
  return {
    simulated: 'the configuration says hardware.backend: simulated',
    gpio: simulatedGpio(clock),
    i2c: simulatedI2c(),
    camera: {
      list: async () => [{ name: 'simulated0', model: 'a grey picture', through: 'simulated' }],
      take: (_, { width, height }) => keepPhoto({ clock }, media, 'png', async (path) => writeWhole(path, simulatedPicture(width, height))),
    },
    temperatures: async () => [{ zone: 'simulated0', name: 'simulated', celsius: 42 }],
  }
}
