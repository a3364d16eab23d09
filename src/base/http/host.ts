// Which hosts are this machine's own: told from the name alone, nobody is asked.
import { isIPv4 } from 'node:net'

/** The names of a machine for itself. */
export const localHosts: readonly string[] = ['localhost', '127.0.0.1', '::1']

/** True for addresses that only this machine can reach; a name that begins like one is none of them. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** The host of a URL; an IPv6 address without its brackets. */
export function hostOf(url: string | URL): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}
