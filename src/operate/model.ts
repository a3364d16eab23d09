// What the machine is: distribution, processor and board, from the texts that name them; pure functions.

export type OsRelease = {
  readonly name: string
  readonly version?: string
  readonly id?: string
  readonly prettyName?: string
  readonly codename?: string
}

/** /etc/os-release (os-release(5)): shell-like assignments, quoted or not. */
export function parseOsRelease(text: string): OsRelease | undefined {
  const values = new Map<string, string>()
  for (const [, key, raw] of text.matchAll(/^([A-Z_]+)=(.*)$/gm)) {
    const quoted = /^(["'])(.*)\1\s*$/.exec(raw!)
    values.set(key!, (quoted ? quoted[2]! : raw!.trim()).replace(/\\(["'$`\\])/g, '$1'))
  }
  const name = values.get('NAME')
  if (!name) return undefined
  const optional = {
    version: values.get('VERSION_ID'),
    id: values.get('ID'),
    prettyName: values.get('PRETTY_NAME'),
    codename: values.get('VERSION_CODENAME'),
  }
  return { name, ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value)) }
}

/** Arm's own cores on boards that say no model name, by the part number of /proc/cpuinfo (Arm MIDR, implementer 0x41). */
const armCores: Readonly<Record<string, string>> = {
  '0xb76': 'ARM1176',
  '0xc07': 'Cortex-A7',
  '0xc0f': 'Cortex-A15',
  '0xd03': 'Cortex-A53',
  '0xd04': 'Cortex-A35',
  '0xd05': 'Cortex-A55',
  '0xd07': 'Cortex-A57',
  '0xd08': 'Cortex-A72',
  '0xd09': 'Cortex-A73',
  '0xd0a': 'Cortex-A75',
  '0xd0b': 'Cortex-A76',
  '0xd0c': 'Neoverse-N1',
  '0xd0d': 'Cortex-A77',
  '0xd40': 'Neoverse-V1',
  '0xd41': 'Cortex-A78',
  '0xd49': 'Neoverse-N2',
}

export type Cpu = { readonly count: number; readonly model: string | undefined; readonly board: string | undefined }

/** /proc/cpuinfo of x86, of Arm (which names parts instead of models) and of RISC-V. `board` is the Raspberry Pi kernel's own line. */
export function parseCpuinfo(text: string): Cpu {
  const line = (name: string): string | undefined => new RegExp(`^${name}\\s*: (.+)$`, 'm').exec(text)?.[1]?.trim()
  const part = line('CPU part')
  const implementer = line('CPU implementer')
  const arm =
    part && (implementer === '0x41' && armCores[part] ? `Arm ${armCores[part]}` : `implementer ${implementer ?? 'unknown'} part ${part}`)
  return { count: [...text.matchAll(/^processor\s*:/gm)].length, model: line('model name') ?? arm ?? line('uarch'), board: line('Model') }
}

/** The zone that /etc/localtime points to, such as Europe/Zurich. */
export function zoneOfLink(target: string): string | undefined {
  return /zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(target)?.[1]
}

/** A device tree text ends with a zero byte. */
export function deviceTreeText(text: string): string | undefined {
  return text.replace(/\0[\s\S]*$/, '').trim() || undefined
}
