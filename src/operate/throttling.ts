// Whether a Raspberry Pi slows itself down: asked of its firmware through vcgencmd, which other machines do not have.
import { asFault } from '../kernel/fault.ts'
import type { Host, Unavailable } from './host.ts'

type ThrottlingFlags = { underVoltage: boolean; frequencyCapped: boolean; throttled: boolean; softTemperatureLimit: boolean }
export type Throttling = { now: ThrottlingFlags; sinceBoot: ThrottlingFlags }

const timeoutMs = 2_000

function flags(bits: number): ThrottlingFlags {
  return {
    underVoltage: (bits & 1) !== 0,
    frequencyCapped: (bits & 2) !== 0,
    throttled: (bits & 4) !== 0,
    softTemperatureLimit: (bits & 8) !== 0,
  }
}

/** `throttled=0x50005`: bits 0 to 3 hold now, bits 16 to 19 since boot (Raspberry Pi documentation of vcgencmd get_throttled). */
export function parseThrottled(text: string): Throttling | undefined {
  const match = /^throttled=0x([0-9a-f]{1,8})\s*$/i.exec(text)
  if (!match) return undefined
  const bits = Number.parseInt(match[1]!, 16)
  return { now: flags(bits), sinceBoot: flags(bits >> 16) }
}

export async function readThrottling(host: Host): Promise<Throttling | Unavailable> {
  try {
    const { exitCode, stdout, stderr } = await host.run(['vcgencmd', 'get_throttled'], timeoutMs)
    if (exitCode !== 0) return { unavailable: `vcgencmd ended with ${exitCode}: ${(stderr || stdout).trim().slice(0, 200)}` }
    return parseThrottled(stdout) ?? { unavailable: `vcgencmd answered what is not understood: ${stdout.trim().slice(0, 80)}` }
  } catch (error) {
    const failure = asFault(error)
    if (failure.kind === 'bug') throw failure
    return {
      unavailable: failure.code === 'exec.not_found' ? 'vcgencmd is not installed: only a Raspberry Pi tells this' : failure.message,
    }
  }
}
