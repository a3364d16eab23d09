// GPIO lines of this machine: by the kernel's character devices, and by the registers where looking through the kernel would change something.
import { asFault } from '../../kernel/fault.ts'
import type { Host, Unavailable } from '../host.ts'
import { isKnown } from '../host.ts'
import { fault } from './faults.ts'
import type { Keeper } from './keeper.ts'
import { type PinRegister, parsePinctrl } from './pinctrl.ts'
import type { Chip, Gpio, Level, Pin, PinState, Pull, Until } from './ports.ts'

const pinctrlTimeoutMs = 2_000

/** As the keeper tells it. */
type Told = {
  readonly line: number
  readonly name: string
  readonly consumer: string
  readonly used: boolean
  readonly direction: 'input' | 'output'
  readonly pull: Pull | null
  readonly held: boolean
  readonly value?: 0 | 1
  readonly wave?: { readonly frequency: number; readonly duty: number } | null
  readonly left_ms?: number
}
type ToldChip = Chip & { readonly error?: string }

/** The driver of a Raspberry Pi's own pins: letting go of a line may set it back to an input there, whatever it was used for. */
const isPi = (label: string): boolean => /^pinctrl-(?:bcm2|rp1)/.test(label)

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist: this machine has no such chip',
  ENXIO: 'is gone',
  ENODEV: 'is gone',
  EACCES: 'may not be used by the user this runs as',
  EPERM: 'may not be used by the user this runs as',
  ENOTTY: 'does not speak version 2 of the GPIO interface: it takes Linux 5.10 or later',
}

export function createGpio({ host, keeper }: { readonly host: Host; readonly keeper: Keeper }): Gpio {
  async function ask<T>(op: string, { chip, pin }: Pin, details: object = {}): Promise<T> {
    const answer = await keeper.ask(op, { chip, line: pin, ...details })
    if ('ok' in answer) return answer.ok as T
    const { error, reason } = answer
    if (error === 'EBUSY') throw fault.in_use({ what: `line ${pin} of ${chip}`, by: 'another program' })
    if (error === 'EINVAL') throw fault.no_line({ chip, line: pin, reason })
    throw fault.absent({ what: 'GPIO', reason: `/dev/${chip} ${reasons[error] ?? reason}` })
  }

  async function chips(): Promise<readonly ToldChip[]> {
    const answer = await keeper.ask('chips')
    if ('ok' in answer) return answer.ok as readonly ToldChip[]
    throw fault.absent({ what: 'GPIO', reason: answer.reason })
  }

  async function chipOf(name: string): Promise<Chip> {
    const found = (await chips()).find((chip) => chip.name === name)
    if (!found) throw fault.absent({ what: 'GPIO', reason: `/dev/${name} ${reasons['ENOENT']}` })
    if (found.error) throw fault.absent({ what: 'GPIO', reason: `/dev/${name} ${reasons[found.error] ?? found.error}` })
    return found
  }

  /** The registers of a Pi's pins. */
  async function registers(pins: string): Promise<ReadonlyMap<number, PinRegister> | Unavailable> {
    try {
      const { exitCode, stdout, stderr } = await host.run(['pinctrl', 'get', pins], pinctrlTimeoutMs)
      if (exitCode !== 0) return { unavailable: `pinctrl ended with ${exitCode}: ${(stderr || stdout).trim().slice(0, 200)}` }
      return new Map(parsePinctrl(stdout).map((each) => [each.pin, each]))
    } catch (error) {
      const failure = asFault(error)
      if (failure.kind === 'bug') throw failure
      const missing = 'pinctrl is not installed (sudo apt install raspi-utils), and asking the kernel could change what the pin does'
      return { unavailable: failure.code === 'exec.not_found' ? missing : failure.message }
    }
  }

  /** What is known of a line; `level`: of one that nobody of ours holds. */
  function stateOf(chip: string, told: Told, level: Level | Unavailable, register?: PinRegister): PinState {
    const { line, name, consumer, used, held, value, wave, left_ms } = told
    const pull = told.pull ?? register?.pull
    return {
      chip,
      pin: line,
      ...(name ? { name } : {}),
      direction: register && !held ? register.direction : told.direction,
      level: value === undefined ? level : value === 1 ? 'high' : 'low',
      ...(pull ? { pull } : {}),
      ...(register?.otherFunction && !held ? { otherFunction: register.otherFunction } : {}),
      ...(used ? { heldBy: consumer || 'the kernel' } : {}),
      ...(wave ? { wave: { frequencyHz: wave.frequency, dutyPercent: wave.duty } } : {}),
      ...(left_ms === undefined ? {} : { restoredInMs: left_ms }),
    }
  }

  function fromRegister(chip: string, told: Told, all: ReadonlyMap<number, PinRegister> | Unavailable): PinState {
    const register = isKnown(all) ? all.get(told.line) : undefined
    const unknown = isKnown(all) ? { unavailable: 'pinctrl tells no level of it' } : all
    return stateOf(chip, told, register?.level ?? unknown, register)
  }

  /** A pin that does something else would be taken away from it. */
  async function refuseOtherFunction({ chip, pin }: Pin, label: string, told: Told): Promise<void> {
    if (told.held || !isPi(label)) return
    const all = await registers(String(pin))
    const other = isKnown(all) && all.get(pin)?.otherFunction
    if (other) throw fault.in_use({ what: `line ${pin} of ${chip}`, by: other })
  }

  async function look(pin: Pin): Promise<{ readonly label: string; readonly told: Told }> {
    const { label, lines } = await chipOf(pin.chip)
    if (pin.pin >= lines) throw fault.no_line({ chip: pin.chip, line: pin.pin, reason: `it has ${lines} lines` })
    const [told] = await ask<[Told]>('look', pin, { lines: [pin.pin] })
    return { label, told }
  }

  async function change(op: string, pin: Pin, details: object, { safe, durationMs }: Until): Promise<PinState> {
    const { label, told } = await look(pin)
    if (told.used && !told.held) throw fault.in_use({ what: `line ${pin.pin} of ${pin.chip}`, by: told.consumer || 'the kernel' })
    await refuseOtherFunction(pin, label, told)
    return stateOf(pin.chip, await ask<Told>(op, pin, { ...details, safe, ...(durationMs ? { duration_ms: durationMs } : {}) }), {
      unavailable: 'it is not held',
    })
  }

  const bit = (level: Level | undefined): 0 | 1 => (level === 'high' ? 1 : 0)
  return {
    async chips() {
      try {
        const found = await chips()
        if (found.length === 0) return { unavailable: 'there is no /dev/gpiochip* on this machine' }
        return found.filter(({ error }) => error === undefined)
      } catch (error) {
        const failure = asFault(error)
        if (failure.kind === 'bug') throw failure
        return { unavailable: failure.message }
      }
    },
    async states(chip, from, count) {
      const { label, lines: total } = await chipOf(chip)
      const wanted = Array.from({ length: Math.max(0, Math.min(count, total - from)) }, (_, index) => from + index)
      if (wanted.length === 0) return { pins: [], total }
      const told = await ask<readonly Told[]>('look', { chip, pin: from }, { lines: wanted })
      const all = isPi(label) ? await registers(`${from}-${wanted.at(-1)!}`) : { unavailable: 'it is read by gpio_read_pin, one at a time' }
      return { pins: told.map((each) => fromRegister(chip, each, all)), total }
    },
    async read(pin) {
      const { label, told } = await look(pin)
      if (told.held) return stateOf(pin.chip, told, { unavailable: 'it is held' })
      if (isPi(label)) return fromRegister(pin.chip, told, await registers(String(pin.pin)))
      if (told.used)
        return stateOf(pin.chip, told, { unavailable: `${told.consumer || 'the kernel'} holds it: only who holds a line can read it` })
      if (told.direction === 'output')
        return stateOf(pin.chip, told, {
          unavailable: 'it is an output that nobody holds: to ask for its level is to take it and to let it go, which may make it an input',
        })
      return stateOf(pin.chip, await ask<Told>('read', pin), { unavailable: 'it was not told' })
    },
    write: (pin, level, until) => change('write', pin, { value: bit(level) }, until),
    configure: (pin, { direction, pull, level }, until) => change('configure', pin, { direction, pull, value: bit(level) }, until),
    pulse: (pin, { frequencyHz, dutyPercent }, until) => change('wave', pin, { frequency: frequencyHz, duty: dutyPercent }, until),
    async release(pin) {
      return stateOf(pin.chip, await ask<Told>('release', pin), { unavailable: 'it is not held any more' })
    },
    close: () => keeper.close(),
  }
}
