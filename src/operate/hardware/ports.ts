// What devices can do for tools, whatever stands behind: the machine's own (gpio.ts, i2c.ts, camera.ts) or made-up ones (simulated.ts).
import type { Unavailable } from '../host.ts'
import type { SafeState } from './settings.ts'

export type Level = 'low' | 'high'
export type Pull = 'up' | 'down' | 'none'
export type Pin = { readonly chip: string; readonly pin: number }
export type Wave = { readonly frequencyHz: number; readonly dutyPercent: number }

export type Chip = { readonly name: string; readonly label: string; readonly lines: number }

/** A line as it is. */
export type PinState = Pin & {
  readonly name?: string
  readonly direction: 'input' | 'output'
  readonly level: Level | Unavailable
  readonly pull?: Pull
  /** What the pin does instead of being a GPIO line, such as SDA1. */
  readonly otherFunction?: string
  /** Who holds it, by the name it told the kernel; `fairlead` is the helper. */
  readonly heldBy?: string
  readonly wave?: Wave
  /** When what was before comes back. */
  readonly restoredInMs?: number
}

/** How a change of a line is to end. */
export type Until = { readonly safe: SafeState; readonly durationMs?: number | undefined }

export interface Gpio {
  chips(): Promise<readonly Chip[] | Unavailable>
  /** Lines from `from` on, at most `count`. Nothing is touched: the level of a line that nobody of ours holds may be unknown. */
  states(chip: string, from: number, count: number): Promise<{ readonly pins: readonly PinState[]; readonly total: number }>
  /** Never reconfigures. */
  read(pin: Pin): Promise<PinState>
  /** Makes it an output, if it is none, at this level. */
  write(pin: Pin, level: Level, until: Until): Promise<PinState>
  configure(
    pin: Pin,
    as: { readonly direction: 'input' | 'output'; readonly pull?: Pull | undefined; readonly level?: Level | undefined },
    until: Until,
  ): Promise<PinState>
  /** Switches it on and off by software, as evenly as a busy machine can. */
  pulse(pin: Pin, wave: Wave, until: Until): Promise<PinState>
  /** Leaves it in its safe state, for others to use. */
  release(pin: Pin): Promise<PinState>
  close(): Promise<void>
}

export type I2cBus = { readonly bus: number; readonly name: string }
/** `driver`: what the kernel uses the device with; it is not for others then. */
export type I2cDevice = { readonly address: number; readonly name?: string; readonly driver?: string }

export interface I2c {
  buses(): Promise<readonly I2cBus[] | Unavailable>
  /** The devices that the kernel knows; nothing is sent over the bus. */
  known(bus: number): Promise<readonly I2cDevice[]>
  /** Writes bytes, then reads `length` in the same transfer; either may be empty. */
  transfer(bus: number, address: number, bytes: readonly number[], length: number): Promise<readonly number[]>
}

export type CameraInfo = { readonly name: string; readonly model: string; readonly through: 'rpicam' | 'v4l2' | 'simulated' }
export type PhotoSettings = { readonly width: number; readonly height: number; readonly quality: number }
export type Photo = { readonly path: string; readonly mediaType: string; readonly sizeBytes: number; readonly sha256: string }

export interface Camera {
  list(): Promise<readonly CameraInfo[] | Unavailable>
  /** Takes one into a new file of the media folder; one at a time. */
  take(camera: string, settings: PhotoSettings, timeoutMs: number): Promise<Photo>
}

export type Temperature = { readonly zone: string; readonly name: string; readonly celsius: number | Unavailable }

export interface Hardware {
  /** Why nothing here is real. */
  readonly simulated?: string
  readonly gpio: Gpio
  readonly i2c: I2c
  readonly camera: Camera
  temperatures(): Promise<readonly Temperature[] | Unavailable>
}
