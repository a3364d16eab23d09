// The configuration file of an MCP client: read whole and strictly, changed in one entry, and replaced as one step. It belongs to somebody else, so nothing is guessed.
import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { faults } from '../../kernel/fault.ts'
import { makeFolder, setMode, statOf, writeWhole } from '../../kernel/file.ts'
import { memberOf, readJsonc, valueOf } from './jsonc.ts'
import { applyEdits, removeMember, setMember } from './jsonc-edit.ts'

const maxFileBytes = 64 << 20

const fault = faults('client', {
  unreadable: (d: { path: string; problem: string }) => ({
    kind: 'conflict',
    message: `${d.path} cannot be read: ${d.problem}`,
    hint: 'is it the right file? it was not touched',
  }),
  name_taken: (d: { name: string; path: string }) => ({
    kind: 'conflict',
    message: `${d.path} has another entry with the name "${d.name}"`,
    hint: 'choose another one with --name NAME, or replace the entry with --force',
  }),
  not_ours: (d: { name: string; path: string }) => ({
    kind: 'conflict',
    message: `the entry "${d.name}" in ${d.path} does not start "fairlead reach mcp-connect"`,
    hint: 'remove it with --force if it is the one you mean',
  }),
  not_there: (d: { name: string; path: string; known: readonly string[] }) => ({
    kind: 'missing',
    message: `${d.path} has no entry "${d.name}"`,
    hint:
      d.known.length > 0 ? `entries that lead to peers: ${d.known.join(', ')}` : 'fairlead reach client list tells which entries there are',
  }),
  changed_meanwhile: (d: { path: string }) => ({
    kind: 'conflict',
    message: `${d.path} was changed by another program in the meantime`,
    hint: 'nothing was written: try again',
  }),
})

/** Its text, byte for byte (a byte order mark too), or undefined when there is no such file. Fault: `client.unreadable`. */
export function readClientFile(path: string): string | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw fault.unreadable({ path, problem: code ?? String(error) }, error)
  }
  if (bytes.length > maxFileBytes) throw fault.unreadable({ path, problem: `it has more than ${maxFileBytes} bytes` })
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw fault.unreadable({ path, problem: 'it is not UTF-8' }, error)
  }
}

export type Change = {
  readonly path: string
  readonly change: 'none' | 'added' | 'replaced' | 'removed'
  /** Undefined: there is no such file. */
  readonly before: string | undefined
  readonly after: string
}

type EntryAt = { readonly path: string; readonly root: string; readonly name: string }

/** What adding the entry would do. Faults: `client.unreadable`, `client.name_taken` unless forced, `json.invalid`, `json.not_object`. */
export function addition({ path, root, name }: EntryAt, entry: Readonly<Record<string, unknown>>, isForced: boolean): Change {
  const before = readClientFile(path)
  const text = before ?? '{}\n'
  const present = memberOf(memberOf(readJsonc(text, path), root)?.value, name)
  if (present && isDeepStrictEqual(valueOf(present.value), entry)) return { path, change: 'none', before, after: text }
  if (present && !isForced) throw fault.name_taken({ name, path })
  return { path, change: present ? 'replaced' : 'added', before, after: applyEdits(text, setMember(text, path, [root, name], entry)) }
}

/** What removing the entry would do. Faults: `client.unreadable`, `client.not_there`, `client.not_ours` unless forced, `json.invalid`. */
export function removal({ path, root, name }: EntryAt, isForced: boolean): Change {
  const before = readClientFile(path)
  const present = before === undefined ? undefined : memberOf(memberOf(readJsonc(before, path), root)?.value, name)
  const ours = peerEntries(path, root)
  if (before === undefined || !present) throw fault.not_there({ name, path, known: ours.map((entry) => entry.name) })
  if (!isForced && !ours.some((entry) => entry.name === name)) throw fault.not_ours({ name, path })
  return { path, change: 'removed', before, after: applyEdits(before, removeMember(before, path, [root, name])) }
}

export type PeerEntry = { readonly name: string; readonly peer: string; readonly command: string; readonly args: readonly string[] }

/** The entries that lead to peers; none when there is no file. Faults: `client.unreadable`, `json.invalid`. */
export function peerEntries(path: string, root: string): PeerEntry[] {
  const text = readClientFile(path)
  const entries = text === undefined ? undefined : memberOf(readJsonc(text, path), root)?.value
  if (entries?.is !== 'object') return []
  return Object.entries(valueOf(entries) as Record<string, unknown>).flatMap(([name, value]) => {
    const { command, args } = (typeof value === 'object' && value !== null ? value : {}) as { command?: unknown; args?: unknown }
    if (typeof command !== 'string' || !Array.isArray(args) || !args.every((word) => typeof word === 'string')) return []
    const at = args.indexOf('mcp-connect')
    const peer = args[at + 1]
    return at >= 0 && peer !== undefined && /^(?:fairlead|bmp)$/.test(basename(command)) ? [{ name, peer, command, args }] : []
  })
}

/**
 * Makes the change. The file keeps its mode, a link stays one; a new file gets mode 0600, or with `isShared` (a project's) what is usual.
 * Faults: `client.changed_meanwhile`, `file.unwritable`.
 */
export function writeChange({ path, before, after }: Change, isShared: boolean): void {
  if (readClientFile(path) !== before) throw fault.changed_meanwhile({ path })
  const stats = statOf(path)
  if (!stats) {
    makeFolder(dirname(path), isShared ? 0o755 : 0o700)
    return writeWhole(path, after, isShared ? 0o644 : 0o600)
  }
  const file = realpathSync(path)
  const mode = stats.mode & 0o777
  writeWhole(file, after, mode)
  if ((statOf(file)!.mode & 0o777) !== mode) setMode(file, mode) // the umask took something away
}
