// I2C, cameras and sensors: programs of a made-up machine that write down what they were asked, and the real ones on this machine, which has no devices.
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import { createHost } from '../host.ts'
import { createCamera, givesJpeg, parseRpicam } from './camera.ts'
import { createI2c, parseBytes, transferArgv } from './i2c.ts'
import { parsePinctrl } from './pinctrl.ts'
import type { Camera, I2c } from './ports.ts'
import { parseMeasuredTemp, readTemperatures } from './temperature.ts'

let roots: string[] = []
afterEach(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true })
  roots = []
})

type Machine = {
  readonly root: string
  add(path: string, text: string): void
  /** A program that writes down its arguments, then does `what`. */
  program(name: string, what: string): void
  asked(): string[]
}
function machine(): Machine {
  const root = mkdtempSync(join(tmpdir(), 'fairlead-devices-'))
  roots.push(root)
  const add = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, { mode })
  }
  add('asked', '')
  return {
    root,
    add,
    program: (name, what) => add(`usr/bin/${name}`, `#!/bin/sh\necho "${name} $*" >>'${root}/asked'\n${what}\n`, 0o755),
    asked: () => readFileSync(join(root, 'asked'), 'utf8').split('\n').filter(Boolean),
  }
}
const i2cOf = (root: string): I2c => createI2c({ host: createHost(root) })

describe('I2C', () => {
  test('buses and what the kernel knows on them are read without a byte on the bus', async () => {
    const { root, add, asked, program } = machine()
    program('i2ctransfer', 'exit 1')
    add('sys/class/i2c-dev/i2c-10/name', 'other\n')
    add('sys/class/i2c-dev/i2c-1/name', 'bcm2835 (i2c@7e804000)\n')
    add('sys/bus/i2c/devices/1-0068/name', 'ds3231\n')
    symlinkSync('../../drivers/rtc-ds1307', join(root, 'sys/bus/i2c/devices/1-0068/driver'))
    add('sys/bus/i2c/devices/10-0050/name', 'other\n')
    const i2c = i2cOf(root)
    expect(await i2c.buses()).toEqual([
      { bus: 1, name: 'bcm2835 (i2c@7e804000)' },
      { bus: 10, name: 'other' },
    ])
    expect(await i2c.known(1)).toEqual([{ address: 0x68, name: 'ds3231', driver: 'rtc-ds1307' }])
    await expect(i2c.known(3)).rejects.toMatchObject({ code: 'hardware.absent', message: expect.stringContaining('1, 10') })
    expect(asked()).toEqual([])
  })
  test('a transfer is one command, whose arguments are numbers', async () => {
    const { root, program, asked } = machine()
    program('i2ctransfer', 'echo 0x19 0x00')
    expect(await i2cOf(root).transfer(1, 0x48, [0x00], 2)).toEqual([0x19, 0])
    program('i2ctransfer', ':')
    expect(await i2cOf(root).transfer(1, 0x48, [1, 255], 0)).toEqual([])
    expect(asked()).toEqual(['i2ctransfer -y 1 w1@0x48 0x00 r2', 'i2ctransfer -y 1 w2@0x48 0x01 0xff'])
    expect(transferArgv(0, 0x50, [], 3)).toEqual(['i2ctransfer', '-y', '0', 'r3@0x50'])
    expect(parseBytes('hello')).toBeUndefined()
  })
  test.each([
    ['Error: Sending messages failed: Remote I/O error', 'hardware.no_answer'],
    ['Error: Could not set address to 0x68: Device or resource busy', 'hardware.in_use'],
    ["Error: Could not open file `/dev/i2c-1': Permission denied", 'hardware.absent'],
  ])('%s', async (said, code) => {
    const { root, program } = machine()
    program('i2ctransfer', `echo "${said.replaceAll('`', '\\`')}" >&2; exit 1`)
    await expect(i2cOf(root).transfer(1, 0x68, [], 1)).rejects.toMatchObject({ code })
  })
  test('what prints nonsense, or fewer bytes than asked, is not believed', async () => {
    const { root, program } = machine()
    program('i2ctransfer', 'echo 0x19')
    await expect(i2cOf(root).transfer(1, 0x48, [], 2)).rejects.toMatchObject({ code: 'hardware.failed' })
  })
  test('the real programs on a machine without a bus say that there is none', async () => {
    const i2c = i2cOf('')
    const buses = await i2c.buses()
    if (Array.isArray(buses)) return
    expect(buses).toEqual({ unavailable: expect.stringContaining('does not exist') })
    await expect(i2c.transfer(1, 0x48, [], 1)).rejects.toMatchObject({ code: 'hardware.absent', kind: 'unavailable' })
    await expect(i2c.known(1)).rejects.toMatchObject({ code: 'hardware.absent' })
  })
})

describe('cameras', () => {
  const listed =
    'Available cameras\n-----------------\n0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)\n    Modes: x\n'
  const settings = { width: 640, height: 480, quality: 80 }
  const cameraOf = (root: string, keep = 2): Camera =>
    createCamera({ host: createHost(root), clock: systemClock }, { folder: join(root, 'media'), keep })
  /** Writes to the file that its arguments name. */
  const shutter = (bytes: string): string => `for last in "$@"; do :; done; printf '${bytes}' >"\${last#--stream-to=}"`

  test('are listed by both ways, those that give pictures only', async () => {
    const { root, program, add } = machine()
    program('rpicam-hello', `cat <<'END'\n${listed}END`)
    program('v4l2-ctl', `case $2 in /dev/video0) echo "[0]: 'MJPG' (Motion-JPEG, compressed)";; *) echo "[0]: 'YUYV'";; esac`)
    for (const node of ['video0', 'video10']) add(`sys/class/video4linux/${node}/name`, `A camera: ${node}\n`)
    expect(await cameraOf(root).list()).toEqual([
      { name: 'rpicam0', model: 'imx708 4608x2592 10-bit RGGB', through: 'rpicam' },
      { name: 'video0', model: 'A camera: video0', through: 'v4l2' },
    ])
    expect(parseRpicam('No cameras available!')).toEqual([])
    expect(givesJpeg("'YUYV'")).toBe(false)
  })
  test('a photo is a new file of ours, with its hash; the oldest make room; a name is never a path', async () => {
    const { root, program, asked } = machine()
    program('rpicam-still', shutter('\\377\\330picture'))
    program('v4l2-ctl', shutter('\\377\\330other'))
    const camera = cameraOf(root)
    const photo = await camera.take('rpicam0', settings, 5_000)
    const bytes = readFileSync(photo.path)
    expect(photo).toMatchObject({ mediaType: 'image/jpeg', sizeBytes: 9, sha256: createHash('sha256').update(bytes).digest('hex') })
    expect(asked()[0]).toMatch(/^rpicam-still --nopreview --camera 0 --width 640 --height 480 --quality 80 --timeout 1000 --output \S+$/)
    await camera.take('video0', settings, 5_000)
    expect(asked()[1]).toMatch(/^v4l2-ctl --device \/dev\/video0 --set-fmt-video=width=640,height=480,pixelformat=MJPG .* --stream-to=\S+$/)
    await camera.take('video0', settings, 5_000)
    expect(readdirSync(join(root, 'media'))).toHaveLength(2)
    await expect(camera.take('../../etc/passwd', settings, 5_000)).rejects.toMatchObject({ code: 'hardware.absent' })
    expect(readdirSync(join(root, 'media'))).toHaveLength(2)
  })
  test('what is no picture, a program that fails, two at once, and a folder of somebody else leave nothing', async () => {
    const { root, program, add } = machine()
    const camera = cameraOf(root)
    program('rpicam-still', shutter('GIF89a'))
    await expect(camera.take('rpicam0', settings, 5_000)).rejects.toMatchObject({ code: 'hardware.failed' })
    program('rpicam-still', ':')
    await expect(camera.take('rpicam0', settings, 5_000)).rejects.toMatchObject({ message: expect.stringContaining('wrote no file') })
    program('rpicam-still', 'echo "ERROR: *** no cameras available ***" >&2; exit 255')
    const [first, second] = await Promise.allSettled([camera.take('rpicam0', settings, 5_000), camera.take('rpicam0', settings, 5_000)])
    expect(first).toMatchObject({ reason: { code: 'hardware.absent', message: expect.stringContaining('no cameras available') } })
    expect(second).toMatchObject({ reason: { code: 'hardware.in_use' } })
    expect(readdirSync(join(root, 'media'))).toEqual([])
    add('elsewhere/keep', '')
    rmSync(join(root, 'media'), { recursive: true })
    symlinkSync(join(root, 'elsewhere'), join(root, 'media'))
    program('rpicam-still', shutter('\\377\\330picture'))
    await expect(camera.take('rpicam0', settings, 5_000)).rejects.toMatchObject({
      message: expect.stringContaining('not a folder that belongs'),
    })
    expect(readdirSync(join(root, 'elsewhere'))).toEqual(['keep'])
  })
  test('this machine has none, and says why', async () => {
    const found = await cameraOf('').list()
    if (!Array.isArray(found)) expect(found).toEqual({ unavailable: expect.stringContaining('rpicam-hello is not installed') })
  })
})

describe('temperature', () => {
  test('by zones; where there are none by the firmware; else the reason', async () => {
    const { root, add, program } = machine()
    expect(await readTemperatures(createHost(root))).toEqual({ unavailable: expect.stringContaining('/sys/class/thermal') })
    program('vcgencmd', `echo "temp=48.3'C"`)
    expect(await readTemperatures(createHost(root))).toEqual([{ zone: 'vcgencmd', name: 'SoC', celsius: 48.3 }])
    add('sys/class/thermal/thermal_zone0/type', 'cpu-thermal\n')
    add('sys/class/thermal/thermal_zone0/temp', '51234\n')
    expect(await readTemperatures(createHost(root))).toEqual([{ zone: 'thermal_zone0', name: 'cpu-thermal', celsius: 51.2 }])
    expect(parseMeasuredTemp('temp=hot')).toBeUndefined()
  })
})

test('what pinctrl prints, of a Pi 4 and of a Pi 5', () => {
  const text = [
    '17: op dl pn | lo // GPIO17 = output',
    ' 2: a0    pu | hi // GPIO2 = SDA1',
    '4: ip    pu | hi // GPIO4 = input',
    '5: no    pd | -- // GPIO5 = none',
    'nonsense',
  ]
  expect(parsePinctrl(text.join('\n'))).toEqual([
    { pin: 17, direction: 'output', level: 'low', pull: 'none' },
    { pin: 2, direction: 'input', level: 'high', pull: 'up', otherFunction: 'SDA1' },
    { pin: 4, direction: 'input', level: 'high', pull: 'up' },
    { pin: 5, direction: 'input', pull: 'down' },
  ])
})
