// Checkpoints: what a ledger's owner signs of its tree, and what a witness signs below it (C2SP tlog-checkpoint and tlog-cosignature). Format: spec/ledger.md.
import { type Identity, isPeerId, publicKeyOf, verify } from '../identity/identity.ts'
import { fault } from './faults.ts'
import {
  cosignatureType,
  fromBase64,
  isKeyName,
  keyIdOf,
  noteText,
  parseNote,
  parseSignature,
  plainType,
  signatureLine,
  withSignature,
} from './note.ts'
import type { TreeHead } from './proof.ts'
import { treeHashBytes } from './tree.ts'

/** Whose ledger, by which name, and which chain of it: `<peer id>/<ledger>/<hash of entry 1>`. The owner's key is in it, so nothing else is needed to verify. */
export type Origin = { readonly owner: string; readonly ledger: string; readonly chain: string }

export type Checkpoint = TreeHead & Origin

/** What a witness says: at this time it knew no longer tree of this ledger, and this one had only grown. */
export type Cosignature = {
  /** Peer id. */
  readonly by: string
  /** Wall time of the witness in milliseconds, whole seconds. */
  readonly at: number
}

export type OpenCheckpoint = Checkpoint & { readonly note: string; readonly cosignatures: readonly Cosignature[] }

const chainPattern = /^[\w-]{43}$/

/** The line that names a chain of a ledger. */
export function originText({ owner, ledger, chain }: Origin): string {
  return `${owner}/${ledger}/${chain}`
}

/** Reads such a line; undefined when it is none. */
export function parseOrigin(text: string): Origin | undefined {
  const [begin, end] = [text.indexOf('/'), text.lastIndexOf('/')]
  if (text.length > 512 || end <= begin + 1 || !isKeyName(text)) return undefined
  const origin = { owner: text.slice(0, begin), ledger: text.slice(begin + 1, end), chain: text.slice(end + 1) }
  return isPeerId(origin.owner) && chainPattern.test(origin.chain) ? origin : undefined
}

function bodyOf(checkpoint: Checkpoint): string {
  return `${originText(checkpoint)}\n${checkpoint.size}\n${checkpoint.root.toString('base64')}\n`
}

/** Signs the state of a ledger's tree in its owner's name. */
export async function signCheckpoint(identity: Identity, { ledger, chain, size, root }: Omit<Checkpoint, 'owner'>): Promise<string> {
  const checkpoint = { owner: identity.peerId, ledger, chain, size, root }
  const [text, name] = [bodyOf(checkpoint), originText(checkpoint)]
  const keyId = keyIdOf(name, plainType, identity.publicKey)
  return noteText({ text, signatures: [{ name, keyId, signature: Buffer.from(await identity.sign(Buffer.from(text))) }] })
}

/** Verifies the owner's signature and those of all witnesses; lines of keys that we cannot know do not count. Fault `ledger.note_invalid`. */
export function openCheckpoint(note: string): OpenCheckpoint {
  const { text, signatures } = parseNote(note)
  const checkpoint = readBody(text)
  const { owner } = checkpoint
  const name = originText(checkpoint)
  const [ownerKey, ownerKeyId] = [publicKeyOf(owner), keyIdOf(name, plainType, publicKeyOf(owner))]
  const own = signatures.filter((one) => one.name === name && one.keyId.equals(ownerKeyId))
  if (own.length !== 1 || !verify(ownerKey, Buffer.from(text), own[0]!.signature))
    throw fault.note_invalid({ problem: `no signature of its owner ${owner}` })
  const cosignatures = signatures.flatMap((one) => openCosignature(text, one) ?? [])
  if (new Set(cosignatures.map(({ by }) => by)).size < cosignatures.length)
    throw fault.note_invalid({ problem: 'a witness that signed twice' })
  return { ...checkpoint, note, cosignatures }
}

function readBody(text: string): Checkpoint {
  const [first, second, third, ...rest] = text.split('\n') as [string, ...string[]]
  const origin = parseOrigin(first)
  const root = fromBase64(third ?? '')
  if (!origin) throw fault.note_invalid({ problem: 'its first line names no ledger of a peer' })
  if (!/^(?:0|[1-9]\d{0,15})$/.test(second ?? '') || !Number.isSafeInteger(Number(second)))
    throw fault.note_invalid({ problem: 'its second line is no size' })
  if (root?.length !== treeHashBytes) throw fault.note_invalid({ problem: 'its third line is no hash' })
  if (rest.length !== 1) throw fault.note_invalid({ problem: 'more lines than a checkpoint has' })
  return { ...origin, size: Number(second), root }
}

/** C2SP tlog-cosignature: what is really signed. */
function cosigned(text: string, seconds: bigint): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`)
}

/** Signs the checkpoint as a witness, at wall time `now` in milliseconds; answers the signature's line. It says nothing of whether it may be signed: see `openWitness`. */
export async function cosign(identity: Identity, { note }: OpenCheckpoint, now: number): Promise<string> {
  const { text } = parseNote(note)
  const seconds = BigInt(Math.floor(now / 1000))
  const name = identity.peerId
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(seconds)
  const signature = Buffer.concat([time, await identity.sign(cosigned(text, seconds))])
  return signatureLine({ name, keyId: keyIdOf(name, cosignatureType, identity.publicKey), signature })
}

/** A witness signs under its peer id, so its key is in its name. Undefined for any other line; fault for one that does not verify. */
function openCosignature(text: string, { name, keyId, signature }: ReturnType<typeof parseSignature>): Cosignature | undefined {
  if (!isPeerId(name)) return undefined
  const publicKey = publicKeyOf(name)
  if (!keyId.equals(keyIdOf(name, cosignatureType, publicKey))) return undefined
  const seconds = signature.length === 72 ? signature.readBigUInt64BE() : undefined
  if (seconds === undefined || seconds > maxSeconds || !verify(publicKey, cosigned(text, seconds), signature.subarray(8)))
    throw fault.note_invalid({ problem: `a signature of ${name} that does not fit` })
  return { by: name, at: Number(seconds) * 1000 }
}

/** What a date can say: the end of the year 9999. */
const maxSeconds = 253_402_300_799n

/** The checkpoint with the line of a witness below it; fault `ledger.note_invalid` when it does not fit, or is of somebody other than `by`. */
export function withCosignature({ note }: OpenCheckpoint, line: string, by: string): OpenCheckpoint {
  const added = parseSignature(line.endsWith('\n') ? line.slice(0, -1) : line)
  const opened = openCheckpoint(noteText(withSignature(parseNote(note), added)))
  if (added.name !== by || !opened.cosignatures.some((one) => one.by === by)) throw fault.note_invalid({ problem: `no signature of ${by}` })
  return opened
}
