// Asks another peer to witness our history, and what it has seen of it; believes nothing but its signatures.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { type OpenCheckpoint, withCosignature } from '../../base/ledger/checkpoint.ts'
import { writeWitnessed } from '../../base/ledger/checkpoint-files.ts'
import type { Checkpointed } from '../../base/ledger/checkpointing.ts'
import { growthText } from '../../base/ledger/proving.ts'
import type { PeerStream } from '../../base/peer/host/host.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import { fault } from '../faults.ts'
import { jsonFrame, readJson } from '../json-frames.ts'
import { type WitnessAnswer, type WitnessRequest, maxAnswerBytes, openWitnessed, readAnswer } from './protocol.ts'

const answerMs = 15_000

export type WitnessClientNeeds = {
  readonly clock: Clock
  /** A stream of `witnessProtocol`, each time a new one to the same peer. */
  readonly dial: () => Promise<PeerStream>
}

/** What the witness has seen of this ledger of `owner`, the latest first. Faults: `reach.witness_refused`, `_silent`, `_garbled`, those of the dial. */
export async function askKnown(needs: WitnessClientNeeds, owner: string, ledger: string): Promise<readonly OpenCheckpoint[]> {
  const { peer, answer } = await ask(needs, { known: ledger })
  if (!('known' in answer)) throw fault.witness_garbled({ peer, problem: 'a signature where none was asked for' })
  return answer.known.map((note) => openWitnessed(note, peer, owner)).filter((one) => one.ledger === ledger)
}

/** Has the checkpoint signed, with a proof from what the witness saw last, and keeps it beside the ledger. Faults of `askKnown`, `growthText`, `file.unwritable`. */
export async function haveWitnessed(
  needs: WitnessClientNeeds,
  made: Checkpointed,
  signal?: AbortSignal,
): Promise<{ readonly by: string; readonly at: number; readonly size: number }> {
  const { checkpoint, names } = made
  const known = await askKnown(needs, checkpoint.owner, checkpoint.ledger)
  const old = known.find(({ chain }) => chain === checkpoint.chain)?.size ?? 0
  const { peer, answer } = await ask(needs, { sign: await growthText(made, old, signal) })
  if (!('signed' in answer)) throw fault.witness_garbled({ peer, problem: 'no signature' })
  const witnessed = signedBy(peer, checkpoint, answer.signed)
  writeWitnessed(names, peer, witnessed)
  return { by: peer, at: witnessed.cosignatures.find(({ by }) => by === peer)!.at, size: checkpoint.size }
}

function signedBy(peer: string, checkpoint: OpenCheckpoint, line: string): OpenCheckpoint {
  try {
    return withCosignature(checkpoint, line, peer)
  } catch (error) {
    throw fault.witness_garbled({ peer, problem: 'a signature that does not fit' }, error)
  }
}

type Given = { readonly peer: string; readonly answer: Exclude<WitnessAnswer, { refused: unknown }> }

async function ask({ clock, dial }: WitnessClientNeeds, request: WitnessRequest): Promise<Given> {
  const stream = await dial()
  const peer = stream.remotePeer
  let isLate = false
  const cancel = clock.after(answerMs, () => {
    isLate = true
    stream.abort()
  })
  try {
    stream.duplex.end(jsonFrame(request))
    const next = await readJson(stream.duplex, maxAnswerBytes).next()
    if (next.done) throw fault.witness_silent({ peer, problem: 'it ended the stream' })
    const answer = readAnswer(peer, next.value)
    if (!('refused' in answer)) return { peer, answer }
    const { code, kind, message } = answer.refused
    throw fault.witness_refused({ peer, code, kind, message: visibleText(message).replaceAll('\n', ' ') })
  } catch (error) {
    const found = asFault(error)
    if (found.code.startsWith('reach.')) throw found
    const problem = isLate ? `nothing came within ${answerMs / 1000} s` : found.message.replace(/^unexpected: /, '')
    throw fault.witness_silent({ peer, problem }, error)
  } finally {
    cancel()
    stream.abort()
  }
}
