// I2C buses of this machine: what the kernel tells of them, and transfers by i2ctransfer, since Node has no ioctl.
import { asFault } from '../../kernel/fault.ts'
import { type Host, type Unavailable, isKnown, known } from '../host.ts'
import { fault } from './faults.ts'
import type { I2c, I2cDevice } from './ports.ts'

const timeoutMs = 3_000
const maxBuses = 64
const folder = '/sys/class/i2c-dev'

/** `i2ctransfer -y 1 w1@0x48 0x00 r2`: never `-f`, so that a device that a driver of the kernel uses is refused. */
export function transferArgv(bus: number, address: number, bytes: readonly number[], length: number): [string, ...string[]] {
  const at = `@0x${address.toString(16).padStart(2, '0')}`
  const written = bytes.length > 0 ? [`w${bytes.length}${at}`, ...bytes.map((byte) => `0x${byte.toString(16).padStart(2, '0')}`)] : []
  const read = length > 0 ? [`r${length}${bytes.length > 0 ? '' : at}`] : []
  return ['i2ctransfer', '-y', String(bus), ...written, ...read]
}

/** What i2ctransfer prints of the bytes that were read: `0x12 0x34`. */
export function parseBytes(text: string): number[] | undefined {
  const words = text.trim() === '' ? [] : text.trim().split(/\s+/)
  return words.every((word) => /^0x[0-9a-f]{2}$/.test(word)) ? words.map(Number) : undefined
}

function addressText(address: number): string {
  return `0x${address.toString(16).padStart(2, '0')}`
}

/** As `helper.allow.i2c` names it: `1:0x76`. */
export function i2cSubject(bus: number, address: number): string {
  return `${bus}:${addressText(address)}`
}

export function createI2c({ host }: { readonly host: Host }): I2c {
  async function buses(): Promise<readonly { bus: number; name: string }[] | Unavailable> {
    const names = await host.names(folder)
    if (!isKnown(names)) return { unavailable: `${names.unavailable}: there is no I2C bus, or its interface is not enabled` }
    const numbers = names.flatMap((name) => (/^i2c-\d{1,3}$/.test(name) ? [Number(name.slice(4))] : [])).sort((a, b) => a - b)
    if (numbers.length === 0) return { unavailable: `${folder} is empty: there is no I2C bus, or its interface is not enabled` }
    return Promise.all(
      numbers.slice(0, maxBuses).map(async (bus) => ({ bus, name: known(await host.text(`${folder}/i2c-${bus}/name`))?.trim() ?? '' })),
    )
  }

  async function deviceOf(bus: number, entry: string): Promise<I2cDevice> {
    const path = `/sys/bus/i2c/devices/${entry}`
    const [name, driver] = await Promise.all([host.text(`${path}/name`), host.link(`${path}/driver`)])
    const shown = known(name)?.trim()
    return {
      address: Number.parseInt(entry.slice(`${bus}-`.length), 16),
      ...(shown ? { name: shown } : {}),
      ...(isKnown(driver) ? { driver: driver.split('/').at(-1)! } : {}),
    }
  }

  function refusal(bus: number, address: number, said: string): Error {
    const what = `the device ${addressText(address)} of I2C bus ${bus}`
    if (/No such file|No such device$/m.test(said))
      return fault.absent({ what: `I2C bus ${bus}`, reason: `/dev/i2c-${bus} does not exist on this machine` })
    if (/Permission denied/.test(said))
      return fault.absent({ what: `I2C bus ${bus}`, reason: `/dev/i2c-${bus} may not be used by the user this runs as` })
    if (/busy/i.test(said)) return fault.in_use({ what, by: 'a driver of the kernel' })
    return fault.no_answer({ what, reason: said.slice(0, 200) })
  }

  return {
    buses,
    async known(bus) {
      const found = await buses()
      if (!isKnown(found)) throw fault.absent({ what: 'I2C', reason: found.unavailable })
      if (!found.some((each) => each.bus === bus))
        throw fault.absent({ what: `I2C bus ${bus}`, reason: `this machine has ${found.map((each) => each.bus).join(', ')}` })
      const entries = known(await host.names('/sys/bus/i2c/devices')) ?? []
      const pattern = new RegExp(`^${bus}-00[0-9a-f]{2}$`)
      return Promise.all(
        entries
          .filter((entry) => pattern.test(entry))
          .sort()
          .map((entry) => deviceOf(bus, entry)),
      )
    },
    async transfer(bus, address, bytes, length) {
      let ended
      try {
        ended = await host.run(transferArgv(bus, address, bytes, length), timeoutMs)
      } catch (error) {
        const { kind, code, message } = asFault(error)
        if (kind === 'bug') throw error
        const reason = code === 'exec.not_found' ? 'i2ctransfer is not installed: sudo apt install i2c-tools' : message
        throw fault.absent({ what: 'I2C', reason }, error)
      }
      if (ended.exitCode !== 0) throw refusal(bus, address, (ended.stderr || ended.stdout).trim())
      const read = parseBytes(ended.stdout)
      if (read?.length !== length)
        throw fault.failed({ what: 'i2ctransfer', reason: `it printed what is not understood: ${ended.stdout.slice(0, 80)}` })
      return read
    },
  }
}
