// Keys in the alphabet that every adapter can keep: other bytes become `=XX`, so that a prefix of a key stays a prefix of its escaped form.
import { fault } from './faults.ts'

const maxKeyBytes = 200

/** Escapes text to 1 to 200 of `[A-Za-z0-9_=-]`; fault `kv.bad_key`. */
export function escapeKey(key: string): string {
  if (!key.isWellFormed()) throw fault.bad_key({ problem: 'half of a surrogate pair' })
  const escaped = key.replaceAll(/[^A-Za-z0-9_-]+/g, (part) => {
    let text = ''
    for (const byte of Buffer.from(part)) text += `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
    return text
  })
  if (escaped === '' || escaped.length > maxKeyBytes) throw fault.bad_key({ problem: `${escaped.length} bytes` })
  return escaped
}

/** The text that an escaped key stands for. */
export function unescapeKey(escaped: string): string {
  return escaped.includes('=')
    ? escaped.replaceAll(/(?:=[0-9A-F]{2})+/g, (part) => Buffer.from(part.replaceAll('=', ''), 'hex').toString('utf8'))
    : escaped
}
