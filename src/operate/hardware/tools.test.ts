// The tools for devices, on simulated ones: every answer is what its schema says and says that it is simulated; subjects name what is touched.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import schema from '../config.ts'
import { helperNeeds, memoryLink, plainCall } from '../helper/memory-link.fixture.ts'
import type { PrivilegedTool } from '../helper/privileged.ts'
import { machineNeeds } from '../needs.fixture.ts'
import cameraInfo from '../tools/camera-get-info.ts'
import takePhoto from '../tools/camera-take-photo.ts'
import configurePin from '../tools/gpio-configure-pin.ts'
import allStates from '../tools/gpio-get-all-states.ts'
import readPin from '../tools/gpio-read-pin.ts'
import setPwm from '../tools/gpio-set-pwm.ts'
import writePin from '../tools/gpio-write-pin.ts'
import i2cRead from '../tools/i2c-read.ts'
import i2cScan from '../tools/i2c-scan-bus.ts'
import i2cWrite from '../tools/i2c-write.ts'

const media = mkdtempSync(join(tmpdir(), 'fairlead-media-'))
afterAll(() => rmSync(media, { recursive: true, force: true }))
const config = schema.parse({
  hardware: { backend: 'simulated', camera: { media_root: media }, gpio: { safe_states: { 'gpiochip0:17': 'low' } } },
})
const allowed = ['gpiochip0:17', '1:0x48']
const needs = machineNeeds({ config, helper: memoryLink(helperNeeds({ config, allows: (_, name) => allowed.includes(name) })) })

async function ask<In extends z.ZodObject, Out extends z.ZodObject>(
  tool: PrivilegedTool<In, Out>,
  given: z.input<In>,
): Promise<z.output<Out>> {
  const why: string[] = []
  const made = await tool.handle(needs, tool.input.parse(given), plainCall({ simulated: (said) => void why.push(said) }))
  const answer = tool.output.strict().parse(made)
  expect(answer).toMatchObject({ simulated: true })
  expect(why).toEqual(['the configuration says hardware.backend: simulated'])
  return answer as z.output<Out>
}

describe('on simulated devices', () => {
  test('pins are written, read, configured, pulsed and given back', async () => {
    expect(await ask(writePin, { pin: 17, level: 'high' })).toMatchObject({ direction: 'output', level: 'high', heldBy: 'fairlead' })
    expect(await ask(readPin, { pin: 17 })).toMatchObject({ level: 'high' })
    expect(await ask(writePin, { pin: 17, level: 'low', durationMs: 20 })).toMatchObject({ level: 'low', restoredInMs: expect.any(Number) })
    await expect.poll(async () => (await ask(readPin, { pin: 17 })).level).toBe('high')
    expect(await ask(setPwm, { pin: 17, frequencyHz: 50, dutyPercent: 10 })).toMatchObject({ wave: { frequencyHz: 50, dutyPercent: 10 } })
    expect(await ask(configurePin, { pin: 17, mode: 'input', pull: 'up' })).toMatchObject({ direction: 'input', pull: 'up', level: 'high' })
    const released = await ask(configurePin, { pin: 17, mode: 'release' })
    expect(released.heldBy).toBeUndefined()
  })
  test('all pins, a page at a time; the level of one that may not be used is not told', async () => {
    const first = await ask(allStates, { limit: 20 })
    const second = await ask(allStates, { limit: 20, cursor: first.nextCursor })
    expect([first, second].flatMap(({ pins }) => pins.map(({ pin }) => pin))).toEqual(Array.from({ length: 28 }, (_, pin) => pin))
    expect(second.nextCursor).toBeUndefined()
    expect(first.pins[17]).toMatchObject({ isAllowed: true, level: 'low' })
    expect(first.pins[18]).toMatchObject({ isAllowed: false, level: { unavailable: expect.stringContaining('helper.allow.pins') } })
    await expect(ask(allStates, { cursor: 'bogus' })).rejects.toMatchObject({ code: 'operate.bad_cursor' })
  })
  test('I2C: only what is allowed is asked for an answer', async () => {
    expect(await ask(i2cScan, {})).toMatchObject({ devices: [], probed: 0 })
    expect(await ask(i2cScan, { probe: true })).toMatchObject({
      devices: [{ address: 0x48, foundBy: 'answer', isAllowed: true }],
      probed: 1,
    })
    expect(await ask(i2cRead, { address: 0x48, register: 0, length: 2 })).toMatchObject({ bytes: [0x19, 0] })
    expect(await ask(i2cWrite, { address: 0x48, register: 3, bytes: [7, 8] })).toMatchObject({ bytesWritten: 2 })
    expect(await ask(i2cRead, { address: 0x48, register: 3, length: 2 })).toMatchObject({ bytes: [7, 8] })
  })
  test('a photo is a picture on the disk', async () => {
    expect(await ask(cameraInfo, {})).toMatchObject({ cameras: [{ name: 'simulated0', isAllowed: false }] })
    const photo = await ask(takePhoto, { camera: 'simulated0', width: 64, height: 64 })
    expect(readFileSync(photo.path)).toHaveLength(photo.sizeBytes)
    expect(photo.mediaType).toBe('image/png')
  })
})

test('what a call touches is what the allow-lists name', () => {
  const onPins = [readPin, writePin, configurePin, setPwm] as unknown as PrivilegedTool[]
  const subjects = onPins.map((tool) => tool.privileged.subjects!({ chip: 'gpiochip0', pin: 17 }))
  expect(subjects).toEqual(Array.from({ length: 4 }, () => [{ list: 'pins', name: 'gpiochip0:17' }]))
  for (const tool of [i2cRead, i2cWrite] as unknown as PrivilegedTool[]) {
    expect(tool.privileged.subjects!({ bus: 1, address: 0x76 })).toEqual([{ list: 'i2c', name: '1:0x76' }])
  }
  expect(takePhoto.privileged.subjects!(takePhoto.input.parse({ camera: 'rpicam0' }))).toEqual([{ list: 'cameras', name: 'rpicam0' }])
})

test.each([
  [writePin, { pin: -1, level: 'high' }],
  [writePin, { pin: 17.5, level: 'high' }],
  [writePin, { pin: 17, level: 'high', chip: '../mem' }],
  [writePin, { pin: 17, level: 'high', chip: 'gpiochip0\n' }],
  [writePin, { pin: 17, level: 'high', durationMs: 600_001 }],
  [setPwm, { pin: 17, frequencyHz: 100_000, dutyPercent: 50 }],
  [i2cRead, { address: 0x03 }],
  [i2cRead, { address: 0x78 }],
  [i2cRead, { address: '0x48' }],
  [i2cRead, { address: 0x48, length: 33 }],
  [i2cWrite, { address: 0x48, bytes: [256] }],
  [i2cWrite, { address: 0x48, bytes: [] }],
  [takePhoto, { camera: '/dev/video0' }],
  [takePhoto, { camera: '--output=/etc/passwd' }],
  [takePhoto, { camera: 'video0', width: 100_000 }],
  [takePhoto, { camera: 'video0', filename: '../x' }],
] as [PrivilegedTool, object][])('%# refuses arguments that nothing should see', (tool, given) => {
  expect(tool.input.safeParse(given).success).toBe(false)
})

test('in a sandbox nothing is invented: what was asked for, and that nothing happened', () => {
  const simulate = (tool: unknown, given: object): unknown => {
    const { input, output, simulate: pretend } = tool as PrivilegedTool
    return output.parse(pretend!(needs, input.parse(given)))
  }
  expect(simulate(readPin, { pin: 4 })).toMatchObject({ level: { unavailable: expect.any(String) }, simulated: true })
  expect(simulate(writePin, { pin: 4, level: 'high' })).toMatchObject({ level: 'high', simulated: true })
  expect(simulate(i2cRead, { address: 8 })).toMatchObject({ bytes: [], simulated: true })
  expect(simulate(cameraInfo, {})).toMatchObject({ cameras: { unavailable: expect.any(String) }, simulated: true })
})
