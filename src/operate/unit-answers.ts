// What the service tools say of a unit, from its properties on D-Bus.
import type { Unavailable } from './host.ts'
import type { Properties } from './systemd.ts'

/** D-Bus says "none" with all ones. */
const none = 18_446_744_073_709_551_615n

export function textOf(properties: Properties, name: string): string {
  const value = properties[name]
  return typeof value === 'string' ? value : ''
}

export function numberOf(properties: Properties, name: string): number {
  const value = properties[name]
  return typeof value === 'number' ? value : 0
}

/** A size that systemd counts only where the kernel lets it. */
export function sizeOf(properties: Properties, name: string): number | Unavailable {
  const value = numberOf(properties, name)
  return value > 0 && BigInt(Math.trunc(value)) < none && Number.isSafeInteger(value)
    ? value
    : { unavailable: `systemd does not count ${name} of this unit` }
}

/** A moment in microseconds since the epoch; 0: it never came. */
export function timeOf(properties: Properties, name: string): string | Unavailable {
  const value = numberOf(properties, name)
  return value > 0 ? new Date(value / 1_000).toISOString() : { unavailable: 'this has not happened since the machine started' }
}

export function namesOf(properties: Properties, name: string, max: number): string[] {
  const value = properties[name]
  return Array.isArray(value) ? (value as string[]).toSorted().slice(0, max) : []
}
