// Which addresses may stand in a configuration: those whose answers nobody on the way can change, and that hold no password.
import { hostOf, isLoopback } from './host.ts'

/** True for `https://name:password@host`. */
export function hasUserInfo(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username !== '' || password !== ''
}

/** True for https, for http to this machine, and for what is no address at all: that is another's to refuse. */
export function isSafeUrl(text: string): boolean {
  return !URL.canParse(text) || new URL(text).protocol === 'https:' || isLoopback(hostOf(text))
}

/** What to say of an address that is not safe. */
export const safeUrlWords = 'must be https, or http to this machine (127.0.0.1)'
