// What a machine has of what the tools can use: devices, programs, services. Found by looking at names; nothing is opened.
import { type Host, isKnown, known } from './host.ts'
import type { HelperLink } from './helper/link.ts'
import { readTemperatures } from './hardware/temperature.ts'
import { wirelessInterfaces } from './wireless.ts'

export type Capability = { name: string; isAvailable: boolean; found: string[]; missing: string[] }

/** One thing that is needed: what is there, or why not. */
type Part = { readonly found: readonly string[] } | { readonly missing: string }

const maxNames = 32

async function names(host: Host, folder: string, pattern: RegExp, missing: string): Promise<Part> {
  const all = (known(await host.names(folder)) ?? []).filter((name) => pattern.test(name))
  const found = all.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).slice(0, maxNames)
  return found.length > 0 ? { found: found.map((name) => `${folder}/${name}`) } : { missing }
}

async function program(host: Host, name: string, install: string): Promise<Part> {
  return (await host.finds(name)) ? { found: [name] } : { missing: `${name} is not installed: ${install}` }
}

const apt = (name: string): string => `sudo apt install ${name}`

/** Available when all parts are there. */
async function all(name: string, ...parts: readonly Promise<Part>[]): Promise<Capability> {
  const told = await Promise.all(parts)
  const missing = told.flatMap((part) => ('missing' in part ? [part.missing] : []))
  return { name, isAvailable: missing.length === 0, found: told.flatMap((part) => ('found' in part ? [...part.found] : [])), missing }
}

/** Available when one of the ways is. */
function oneOf(name: string, ways: readonly Capability[]): Capability {
  const open = ways.filter(({ isAvailable }) => isAvailable)
  if (open.length > 0) return { name, isAvailable: true, found: [...new Set(open.flatMap(({ found }) => found))], missing: [] }
  const each = (of: 'found' | 'missing'): string[] => [...new Set(ways.flatMap((way) => way[of]))]
  return { name, isAvailable: false, found: each('found'), missing: each('missing') }
}

async function camera(host: Host): Promise<Capability> {
  const nodes = names(host, '/dev', /^video\d+$/, 'there is no /dev/video*')
  return oneOf('camera', [
    await all('rpicam', program(host, 'rpicam-still', 'it comes with Raspberry Pi OS'), nodes),
    await all('v4l2', program(host, 'v4l2-ctl', apt('v4l-utils')), nodes),
  ])
}

async function temperature(host: Host): Promise<Part> {
  const told = await readTemperatures(host)
  return isKnown(told) ? { found: told.map(({ name }) => name) } : { missing: told.unavailable }
}

async function radio(host: Host): Promise<Part> {
  const found = await wirelessInterfaces(host)
  return isKnown(found) ? { found } : { missing: found.unavailable }
}

async function helped(helper: HelperLink): Promise<Part> {
  const { ok, reason = 'it does not answer' } = await helper.health()
  return ok ? { found: ['the helper'] } : { missing: reason }
}

export async function capabilitiesOf({ host, helper }: { readonly host: Host; readonly helper: HelperLink }): Promise<Capability[]> {
  return Promise.all([
    all('helper', helped(helper)),
    all('gpio', names(host, '/dev', /^gpiochip\d+$/, 'there is no /dev/gpiochip*'), program(host, 'python3', apt('python3'))),
    all(
      'i2c',
      names(host, '/dev', /^i2c-\d+$/, 'there is no /dev/i2c-*: no bus, or its interface is not enabled (raspi-config)'),
      program(host, 'i2ctransfer', apt('i2c-tools')),
    ),
    camera(host),
    all('temperature', temperature(host)),
    all('throttling', program(host, 'vcgencmd', 'only a Raspberry Pi has it')),
    all('wifi', radio(host), program(host, 'iw', apt('iw'))),
    all('ping', program(host, 'ping', apt('iputils-ping'))),
    all('services', names(host, '/run/systemd', /^system$/, 'systemd does not run this machine')),
    all('journal', program(host, 'journalctl', 'it comes with systemd')),
  ])
}
