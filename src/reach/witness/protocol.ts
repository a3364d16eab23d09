// What is said on `/fairlead/witness/1`: one stream, one request for a signature or for what is known, one answer.
import { type FaultKind, outside } from '../../kernel/fault.ts'
import { type OpenCheckpoint, openCheckpoint } from '../../base/ledger/checkpoint.ts'
import { maxNoteBytes } from '../../base/ledger/note.ts'
import { maxGrowthBytes } from '../../base/ledger/proving.ts'
import { fault } from '../faults.ts'

export const witnessProtocol = '/fairlead/witness/1'
export const maxRequestBytes = maxGrowthBytes + 4_096
/** Checkpoints in one answer: the latest. */
const maxKnown = 16
export const maxAnswerBytes = maxKnown * (maxNoteBytes + 1_024)

/** `sign`: the text of `growthText`. `known`: the name of a ledger. */
export type WitnessRequest = { readonly sign: string } | { readonly known: string }
export type WitnessRefusal = { readonly code: string; readonly kind: FaultKind; readonly message: string }
export type WitnessAnswer = { readonly signed: string } | { readonly known: readonly string[] } | { readonly refused: WitnessRefusal }

/** Reads a request from outside; fault `reach.witness_request_invalid`. */
export function readRequest(value: unknown): WitnessRequest {
  const { sign, known } = isObject(value) ? value : {}
  if (typeof sign === 'string' && known === undefined) return { sign }
  if (typeof known === 'string' && sign === undefined && known.length <= 256) return { known }
  throw fault.witness_request_invalid({ problem: 'neither something to sign nor the name of a ledger' })
}

/** The answer that tells these checkpoints. */
export function knownAnswer(known: readonly OpenCheckpoint[]): WitnessAnswer {
  return { known: known.slice(0, maxKnown).map(({ note }) => note) }
}

/** Reads an answer of `peer`; fault `reach.witness_garbled`. */
export function readAnswer(peer: string, value: unknown): WitnessAnswer {
  const { signed, known, refused } = isObject(value) ? value : {}
  if (typeof signed === 'string') return { signed }
  if (Array.isArray(known) && known.length <= maxKnown && known.every((note) => typeof note === 'string')) return { known }
  const { code, kind, message } = isObject(refused) ? refused : {}
  if (typeof code !== 'string' || typeof message !== 'string' || typeof kind !== 'string' || !Object.hasOwn(outside, kind))
    throw fault.witness_garbled({ peer, problem: 'no signature, nothing known and no reason' })
  const isTheirs = kind === 'bug' || kind === 'config'
  return {
    refused: {
      code: code.slice(0, 64),
      kind: isTheirs ? 'unavailable' : (kind as FaultKind),
      message: message.slice(0, 500),
    },
  }
}

/** A checkpoint of `owner` that `peer` says it signed; fault `reach.witness_garbled` unless both did. */
export function openWitnessed(note: string, peer: string, owner: string): OpenCheckpoint {
  try {
    const opened = openCheckpoint(note)
    if (opened.owner === owner && opened.cosignatures.some(({ by }) => by === peer)) return opened
  } catch (error) {
    throw fault.witness_garbled({ peer, problem: 'a checkpoint that does not verify' }, error)
  }
  throw fault.witness_garbled({ peer, problem: 'a checkpoint that it did not sign, or of somebody else' })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
