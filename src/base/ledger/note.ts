// Signed notes: a text with a line for each signature below it (C2SP signed-note). They come from outside: nothing in one counts before a signature was verified.
import { hash as digest } from 'node:crypto'
import { fault } from './faults.ts'

/** Ed25519 over the text. */
export const plainType = 0x01
/** Ed25519 over time and text: what a witness says (C2SP tlog-cosignature). */
export const cosignatureType = 0x04

export const maxNoteBytes = 16_384
export const maxSignatures = 16

/** `keyId`: 4 bytes; with `name` it tells which key, for which kind of signature. */
export type NoteSignature = { readonly name: string; readonly keyId: Buffer; readonly signature: Buffer }
/** `text` ends with a line feed. */
export type SignedNote = { readonly text: string; readonly signatures: readonly NoteSignature[] }

/** The id of an Ed25519 key in a note. */
export function keyIdOf(name: string, type: number, publicKey: Uint8Array): Buffer {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), Uint8Array.of(type), publicKey])
  return digest('sha256', bytes, 'buffer').subarray(0, 4)
}

/** Whether somebody can sign under this name: it is not empty and has no white space, plus sign or control character. */
export function isKeyName(name: string): boolean {
  return /^[^\s+\p{Cc}]+$/u.test(name) && name.isWellFormed()
}

/** A signature as a line of a note, line feed included. */
export function signatureLine({ name, keyId, signature }: NoteSignature): string {
  return `— ${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`
}

/** The note as text. */
export function noteText({ text, signatures }: SignedNote): string {
  return `${text}\n${signatures.map(signatureLine).join('')}`
}

/** The note with one more signature; an earlier one of the same key is replaced. */
export function withSignature({ text, signatures }: SignedNote, added: NoteSignature): SignedNote {
  const others = signatures.filter(({ name, keyId }) => name !== added.name || !keyId.equals(added.keyId))
  return { text, signatures: [...others, added] }
}

/** Reads a note; fault `ledger.note_invalid`. */
export function parseNote(note: string): SignedNote {
  const invalid = (problem: string) => fault.note_invalid({ problem })
  if (Buffer.byteLength(note) > maxNoteBytes) throw invalid(`more than ${maxNoteBytes} bytes`)
  if (!note.isWellFormed() || hasControls(note)) throw invalid('a character that no note may have')
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n')) throw invalid('no text with signatures below it')
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > maxSignatures) throw invalid(`more than ${maxSignatures} signatures`)
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignature) }
}

/** Below U+0020 there is only the line feed. */
function hasControls(note: string): boolean {
  for (let at = 0; at < note.length; at++) if (note.charCodeAt(at) < 0x20 && note[at] !== '\n') return true
  return false
}

/** Reads one line without its line feed; fault `ledger.note_invalid`. */
export function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = /^— (\S+) (\S+)$/u.exec(line) ?? []
  const bytes = encoded === undefined ? undefined : fromBase64(encoded)
  if (name === undefined || !isKeyName(name) || !bytes || bytes.length < 5)
    throw fault.note_invalid({ problem: 'a line below the text that is no signature' })
  return { name, keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) }
}

/** RFC 4648 §4 with padding, written in the only way; undefined when it is not. */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
