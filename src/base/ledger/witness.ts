// A witness: remembers how far it has seen each ledger of others, and signs a checkpoint only if that ledger has done nothing but grow since then (C2SP tlog-witness).
import { hash as digest } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, readText, statOf, writeWhole } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../identity/identity.ts'
import { type OpenCheckpoint, cosign, openCheckpoint, originText, withCosignature } from './checkpoint.ts'
import { fault } from './faults.ts'
import { provesConsistency } from './proof.ts'
import { parseGrowth } from './proving.ts'

export interface Witness {
  /**
   * Judges a request of the proved `peer` for a ledger of its own (`growthText`), remembers it durably, and only then answers the line that it signed.
   * Faults: `ledger.growth_invalid`, `ledger.note_invalid`, `ledger.foreign_checkpoint`, `ledger.too_many_chains`; `ledger.stale_growth` when the proof begins
   * elsewhere; `ledger.rolled_back` and `ledger.forked`, which are logged as errors.
   */
  sign(peer: string, growth: string): Promise<string>
  /** The last checkpoints that were signed for ledgers of the peer by this name: one for each chain, the latest first. */
  known(peer: string, ledger: string): readonly OpenCheckpoint[]
}

/** Each deletion of a ledger begins a new chain. */
const maxChainsPerPeer = 256

/** The witness whose memory lies in `folder`. One process at a time. */
export function openWitness(
  { identity, clock, log }: { readonly identity: Identity; readonly clock: Clock; readonly log: Log },
  folder: string,
): Witness {
  const pathOf = (checkpoint: OpenCheckpoint): string =>
    join(folder, `${checkpoint.owner}.${digest('sha256', originText(checkpoint), 'base64url')}.note`)
  const signedAt = ({ cosignatures }: OpenCheckpoint): number => cosignatures.find(({ by }) => by === identity.peerId)?.at ?? 0

  /** One after the other: what is signed is judged by what was signed before. */
  let turn: Promise<unknown> = Promise.resolve()
  const signed = async (peer: string, growth: string): Promise<string> => {
    const { old, proof, checkpoint } = parseGrowth(growth)
    const { owner, size } = checkpoint
    if (owner !== peer) throw fault.foreign_checkpoint({ owner, peer })
    const path = pathOf(checkpoint)
    const known = read(path)
    if (!known && namesIn(folder, peer).length >= maxChainsPerPeer) throw fault.too_many_chains({ peer, limit: maxChainsPerPeer })
    try {
      judge(checkpoint, known, signedAt, old, proof)
    } catch (error) {
      const { code, message } = asFault(error)
      const isHarm = code === 'ledger.rolled_back' || code === 'ledger.forked'
      log[isHarm ? 'error' : 'info']('ledger.witness.refused', {
        peer,
        origin: originText(checkpoint),
        size,
        known: known?.size ?? 0,
        code,
        problem: message,
      })
      throw error
    }
    const line = await cosign(identity, checkpoint, clock.now())
    makeFolder(folder)
    writeWhole(path, withCosignature(checkpoint, line, identity.peerId).note)
    log.info('ledger.witness.signed', { peer, origin: originText(checkpoint), size })
    return line
  }

  return {
    sign(peer, growth) {
      const line = turn.then(() => signed(peer, growth))
      turn = line.catch(() => {})
      return line
    },
    known: (peer, ledger) =>
      rememberedOf(folder, peer)
        .filter((one) => one.owner === peer && one.ledger === ledger)
        .sort((a, b) => signedAt(b) - signedAt(a)),
  }
}

/** The files in which the chains of the peer are remembered. */
function namesIn(folder: string, peer: string): string[] {
  return statOf(folder) ? readdirSync(folder).filter((name) => name.startsWith(`${peer}.`) && name.endsWith('.note')) : []
}

/** The last checkpoint of each chain of the peer that the witness in `folder` signed. Fault `ledger.note_invalid` for a damaged memory. */
export function rememberedOf(folder: string, peer: string): readonly OpenCheckpoint[] {
  return namesIn(folder, peer).flatMap((name) => read(join(folder, name)) ?? [])
}

function read(path: string): OpenCheckpoint | undefined {
  const text = readText(path)
  return text === undefined ? undefined : openCheckpoint(text) // a damaged memory must not turn into "never seen": it is a fault
}

function judge(
  checkpoint: OpenCheckpoint,
  known: OpenCheckpoint | undefined,
  signedAt: (known: OpenCheckpoint) => number,
  old: number,
  proof: readonly Buffer[],
): void {
  const { ledger, size } = checkpoint
  const seenAt = known ? new Date(signedAt(known)).toISOString() : ''
  const before = known ?? { size: 0, root: Buffer.alloc(0) }
  if (size < before.size) throw fault.rolled_back({ ledger, size, known: before.size, seenAt })
  if (old > size) throw fault.growth_invalid({ problem: 'it begins after its end' })
  if (old !== before.size) throw fault.stale_growth({ old, known: before.size })
  if (!provesConsistency(before, checkpoint, proof)) {
    if (known) throw fault.forked({ ledger, known: before.size, seenAt })
    throw fault.growth_invalid({ problem: 'hashes where nothing is to be proved' })
  }
}
