// The line of a ledger: how one is sealed, and how one is checked by cutting bytes. The format in prose: spec/ledger.md.
//
//   {"seq":7,"time":"2026-11-20T12:00:00.000Z", members of the entry ,"prev":"<43>","hash":"<43>"} LF
//   |<------------------------- hashed, after the domain --------------------------->|<-- 54 -->|
import { hash as digest } from 'node:crypto'

const domain = 'fairlead-ledger/1\n'
const domainBytes = Buffer.from(domain)
/** `,"hash":"` + 43 + `"}`. */
const hashTailBytes = 54
/** `,"prev":"` + 43 + `"`. */
const prevTailBytes = 53

/** Of one line with its line feed; a verifier may refuse more. */
export const maxLineBytes = 262_144

/** Where an entry stands in its ledger: its number from 1, and its hash, which stands for all entries up to it. */
export type Place = { readonly seq: number; readonly hash: string }

/** What stands before the first entry: a ledger of this name without entries. */
export function genesis(origin: string): Place {
  return { seq: 0, hash: digest('sha256', `${domain}${origin}`, 'base64url') }
}

/** The line after the entry with the hash `prev`. `body`: the entry's members as JSON text, without braces, perhaps empty. Called for every entry: 1 µs. */
export function seal(seq: number, time: string, body: string, prev: string): { readonly line: string; readonly hash: string } {
  const hashed = `{"seq":${seq},"time":"${time}"${body === '' ? '' : ','}${body},"prev":"${prev}"`
  const hash = digest('sha256', domain + hashed, 'base64url')
  return { line: `${hashed},"hash":"${hash}"}\n`, hash }
}

/** A line, whole in itself when it was checked. Whether it stands in its right place is for its reader to tell. */
export type CheckedLine = Place & { readonly prev: string }
export type LineProblem = 'not a ledger line' | 'altered: its bytes do not give its hash'

const scratch = Buffer.alloc(domainBytes.length + maxLineBytes)
domainBytes.copy(scratch)

/** Checks one line, given without its line feed. */
export function checkLine(line: Buffer): CheckedLine | LineProblem {
  const said = readLine(line)
  if (said === undefined) return 'not a ledger line'
  const hashedBytes = line.length - hashTailBytes
  line.copy(scratch, domainBytes.length, 0, hashedBytes)
  const hash = digest('sha256', scratch.subarray(0, domainBytes.length + hashedBytes), 'base64url')
  return hash === said.hash ? said : 'altered: its bytes do not give its hash'
}

/** What one line, given without its line feed, says of itself: its hash is not checked. Undefined when it has not the form of a line. */
export function readLine(line: Buffer): CheckedLine | undefined {
  const prevAt = line.length - hashTailBytes - prevTailBytes
  if (prevAt < 8 || line.length >= maxLineBytes) return undefined
  const seq = seqOf(line)
  if (seq === undefined) return undefined
  const tail = line.toString('latin1', prevAt)
  if (!tail.startsWith(',"prev":"') || !tail.startsWith('","hash":"', 52) || !tail.endsWith('"}')) return undefined
  return { seq, hash: tail.slice(62, 105), prev: tail.slice(9, 52) }
}

/** The number that a line gives itself, or undefined when it does not begin as a line must. Unproved until the line is checked. */
export function seqOf(line: Buffer): number | undefined {
  const match = /^\{"seq":([1-9][0-9]{0,15}),"time":"/.exec(line.toString('latin1', 0, 40))
  return match ? Number(match[1]) : undefined
}
