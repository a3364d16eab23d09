// GPIO lines: the keeper's real program before a made-up chip, whose lines are looked at from outside; and this machine, which has none.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { createHost } from '../host.ts'
import { type FakeChip, addFakeChip } from './gpio-kernel.fixture.ts'
import { createGpio } from './gpio.ts'
import { createKeeper } from './keeper.ts'
import type { Gpio } from './ports.ts'

const chip = 'gpiochip0'
const input = { safe: 'input' } as const
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function machine(label?: string): { root: string; fake: FakeChip; gpio: Gpio } {
  const root = mkdtempSync(join(tmpdir(), 'fairlead-gpio-'))
  closing.push(() => rmSync(root, { recursive: true, force: true }))
  const fake = addFakeChip(root, label ? { label } : {})
  return { root, fake, gpio: gpioOf(root) }
}
function gpioOf(root: string): Gpio {
  const host = createHost(root)
  const gpio = createGpio({ host, keeper: createKeeper({ host, clock: systemClock, log: silentLog }) })
  closing.push(() => gpio.close())
  return gpio
}
function addPinctrl(root: string, text: string): void {
  mkdirSync(join(root, 'usr/bin'), { recursive: true })
  writeFileSync(join(root, 'usr/bin/pinctrl'), `#!/bin/sh\nprintf '%s\\n' '${text}'\n`, { mode: 0o755 })
}

/** What is due by then has been done: the keeper does things in their order. */
async function laterThan(gpio: Gpio, fake: FakeChip, durationMs: number): Promise<void> {
  await gpio.write({ chip, pin: 27 }, 'high', { ...input, durationMs })
  await expect.poll(() => fake.line(27).direction).toBe('in')
}

describe('a read changes nothing', () => {
  test('an input is read as it is', async () => {
    const { fake, gpio } = machine()
    fake.set(4, { value: 1, pull: 0x100 })
    expect(await gpio.read({ chip, pin: 4 })).toEqual({ chip, pin: 4, name: 'L4', direction: 'input', level: 'high', pull: 'up' })
    expect(fake.log()).toEqual(['request 4'])
    expect(fake.line(4)).toMatchObject({ direction: 'in', value: 1, pull: 0x100 })
  })
  test('an output that nobody holds is not touched, and says why', async () => {
    const { fake, gpio } = machine()
    fake.set(4, { direction: 'out', value: 1 })
    expect(await gpio.read({ chip, pin: 4 })).toMatchObject({
      direction: 'output',
      level: { unavailable: expect.stringContaining('may make it an input') },
    })
    expect(fake.log()).toEqual([])
  })
  test('an output of ours is read while it is held', async () => {
    const { gpio } = machine()
    await gpio.write({ chip, pin: 4 }, 'high', input)
    expect(await gpio.read({ chip, pin: 4 })).toMatchObject({ direction: 'output', level: 'high', heldBy: 'fairlead' })
  })
  test('what another program holds is left to it', async () => {
    const { root, fake, gpio } = machine()
    await gpioOf(root).write({ chip, pin: 5 }, 'high', input)
    const before = fake.log()
    expect(await gpio.read({ chip, pin: 5 })).toMatchObject({
      heldBy: 'fairlead',
      level: { unavailable: expect.stringContaining('holds it') },
    })
    await expect(gpio.write({ chip, pin: 5 }, 'low', input)).rejects.toMatchObject({ code: 'hardware.in_use' })
    expect(fake.log()).toEqual(before)
  })
  test('the pins of a Raspberry Pi are read from their registers', async () => {
    const { root, fake, gpio } = machine('pinctrl-bcm2711')
    expect(await gpio.read({ chip, pin: 17 })).toMatchObject({
      level: { unavailable: expect.stringContaining('pinctrl is not installed') },
    })
    addPinctrl(root, '17: op dh pn | hi // GPIO17 = output')
    expect(await gpio.read({ chip, pin: 17 })).toMatchObject({ direction: 'output', level: 'high', pull: 'none' })
    addPinctrl(root, ' 2: a0    pu | hi // GPIO2 = SDA1')
    expect(await gpio.read({ chip, pin: 2 })).toMatchObject({ otherFunction: 'SDA1', level: 'high' })
    await expect(gpio.write({ chip, pin: 2 }, 'low', input)).rejects.toMatchObject({
      code: 'hardware.in_use',
      message: expect.stringContaining('SDA1'),
    })
    expect(fake.log()).toEqual([])
  })
})

describe('a change', () => {
  test('for a time gives back what was: an input with its pull', async () => {
    const { fake, gpio } = machine()
    fake.set(7, { pull: 0x200 })
    const state = await gpio.write({ chip, pin: 7 }, 'high', { ...input, durationMs: 60 })
    expect(state).toMatchObject({ direction: 'output', level: 'high' })
    expect(state.restoredInMs).toBeLessThanOrEqual(60)
    await expect.poll(() => fake.line(7)).toMatchObject({ direction: 'in', pull: 0x200 })
    expect((await gpio.read({ chip, pin: 7 })).heldBy).toBeUndefined()
  })
  test('for a time, twice, gives back what was before both; one without a time stays', async () => {
    const { fake, gpio } = machine()
    await gpio.write({ chip, pin: 7 }, 'low', input)
    await gpio.write({ chip, pin: 7 }, 'high', { ...input, durationMs: 5_000 })
    await gpio.write({ chip, pin: 7 }, 'high', { ...input, durationMs: 30 })
    await expect.poll(() => fake.line(7)).toMatchObject({ direction: 'out', value: 0 })
    await gpio.write({ chip, pin: 7 }, 'low', { ...input, durationMs: 30 })
    await gpio.write({ chip, pin: 7 }, 'high', input)
    await laterThan(gpio, fake, 40)
    expect(fake.line(7)).toMatchObject({ direction: 'out', value: 1 })
  })
  test('sets direction, pull and level, and none is none', async () => {
    const { fake, gpio } = machine()
    await gpio.configure({ chip, pin: 3 }, { direction: 'input', pull: 'none' }, input)
    expect(fake.line(3)).toMatchObject({ direction: 'in', pull: 0x400 })
    expect(await gpio.configure({ chip, pin: 3 }, { direction: 'output', level: 'high' }, input)).toMatchObject({
      pull: 'none',
      level: 'high',
    })
    expect(await gpio.release({ chip, pin: 3 })).toMatchObject({ direction: 'input' })
  })
  test('pulses until something else is asked of it', async () => {
    const { fake, gpio } = machine()
    expect(await gpio.pulse({ chip, pin: 9 }, { frequencyHz: 100, dutyPercent: 30 }, input)).toMatchObject({
      wave: { frequencyHz: 100, dutyPercent: 30 },
    })
    await expect.poll(() => fake.log().filter((each) => each.startsWith('set ')).length).toBeGreaterThan(10)
    expect((await gpio.write({ chip, pin: 9 }, 'low', input)).wave).toBeUndefined()
    const pulses = (): string[] => fake.log().filter((each) => each === 'set 1 9')
    const count = pulses().length
    await laterThan(gpio, fake, 40)
    expect(pulses()).toHaveLength(count)
  })
  test('of a line that is not there is refused', async () => {
    const { gpio } = machine()
    await expect(gpio.write({ chip, pin: 99 }, 'low', input)).rejects.toMatchObject({ code: 'hardware.no_line' })
    await expect(gpio.read({ chip: 'gpiochip7', pin: 1 })).rejects.toMatchObject({ code: 'hardware.absent' })
  })
})

describe('the end', () => {
  test('leaves every output in its safe state, and undoes what was for a time', async () => {
    const { fake, gpio } = machine()
    await gpio.write({ chip, pin: 10 }, 'high', { safe: 'low' })
    await gpio.write({ chip, pin: 11 }, 'low', { safe: 'high' })
    await gpio.write({ chip, pin: 12 }, 'high', { safe: 'input' })
    await gpio.write({ chip, pin: 13 }, 'high', { safe: 'keep' })
    await gpio.write({ chip, pin: 14 }, 'high', { safe: 'keep', durationMs: 60_000 })
    await gpio.pulse({ chip, pin: 15 }, { frequencyHz: 50, dutyPercent: 50 }, { safe: 'low' })
    await gpio.close()
    expect([10, 11, 12, 13, 14, 15].map((pin) => fake.line(pin))).toMatchObject([
      { direction: 'out', value: 0 },
      { direction: 'out', value: 1 },
      { direction: 'in' },
      { direction: 'out', value: 1 },
      { direction: 'in' },
      { direction: 'out', value: 0 },
    ])
  })

  test.each(['SIGKILL', 'SIGTERM'] as const)('%s of whoever asked for it does too', async (signal) => {
    const { root, fake } = machine()
    const here = (file: string): string => JSON.stringify(join(import.meta.dirname, file))
    const owner = `
      const { createGpio } = await import(${here('gpio.ts')})
      const { createKeeper } = await import(${here('keeper.ts')})
      const { createHost } = await import(${here('../host.ts')})
      const { systemClock } = await import(${here('../../kernel/clock.ts')})
      const { silentLog } = await import(${here('../../kernel/log.ts')})
      const host = createHost(${JSON.stringify(root)})
      const gpio = createGpio({ host, keeper: createKeeper({ host, clock: systemClock, log: silentLog }) })
      await gpio.write({ chip: 'gpiochip0', pin: 20 }, 'high', { safe: 'input', durationMs: 600_000 })
      await gpio.write({ chip: 'gpiochip0', pin: 21 }, 'high', { safe: 'low' })
      console.log('set')
      setInterval(() => {}, 1_000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', owner], { stdio: ['ignore', 'pipe', 'inherit'] })
    closing.push(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    expect([fake.line(20), fake.line(21)]).toMatchObject([
      { direction: 'out', value: 1 },
      { direction: 'out', value: 1 },
    ])
    child.kill(signal)
    await expect.poll(() => [fake.line(20), fake.line(21)]).toMatchObject([{ direction: 'in' }, { direction: 'out', value: 0 }])
  })

  test('a keeper that was killed is told, and the next call has a new one', async () => {
    const { root, gpio } = machine()
    await gpio.write({ chip, pin: 1 }, 'high', input)
    const pid = Number(readFileSync(join(root, 'pid'), 'utf8'))
    process.kill(pid, 'SIGKILL')
    await expect
      .poll(() =>
        gpio.write({ chip, pin: 1 }, 'low', input).then(
          ({ level }) => level,
          () => undefined,
        ),
      )
      .toBe('low')
  })
})

describe('this very machine', () => {
  test('tells that it has no GPIO, and why', async () => {
    const found = await gpioOf('').chips()
    if (Array.isArray(found)) return
    expect(found).toEqual({ unavailable: 'there is no /dev/gpiochip* on this machine' })
    await expect(gpioOf('').read({ chip, pin: 1 })).rejects.toMatchObject({ code: 'hardware.absent', kind: 'unavailable' })
  })
  test('without Python it says so', async () => {
    const root = mkdtempSync(join(tmpdir(), 'fairlead-gpio-'))
    closing.push(() => rmSync(root, { recursive: true }))
    const host = { ...createHost(root), env: { PATH: join(root, 'none') } }
    const keeper = createKeeper({ host, clock: systemClock, log: silentLog })
    closing.push(() => keeper.close())
    expect(await createGpio({ host, keeper }).chips()).toEqual({ unavailable: expect.stringContaining('python3 is not installed') })
  })
})
