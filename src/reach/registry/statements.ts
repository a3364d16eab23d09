// The registry's statements about keys, and the rules for them: only valid ones, the first rotation of a key alone, into a key of which nothing was said before,
// none of a revoked key; a revocation is final. They do not end, so that nothing is forgotten; the number of keys is bounded by the store.
import { type Fault, asFault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Bucket, Entry } from '../../base/kv/kv.ts'
import { fault } from '../faults.ts'
import { type Statement, isNews, maxRotations, openStatement } from '../succession/statement.ts'

/** What an owner's clock may be ahead of ours. */
const slackMs = 60_000
const maxTries = 5
/** Statements that one question may make us look at, and that are held opened in memory. */
const maxLooks = 1_024
const maxHeld = 10_000

export interface RegistryStatements {
  /**
   * Takes a statement, whoever brings it; the same once more is no error. Faults: `reach.record_invalid`, `reach.key_rotated`, `reach.key_revoked`,
   * `reach.registry_full`, `reach.registry_busy`.
   */
  announce(signed: Uint8Array): Promise<Statement>
  /** Fault `reach.key_rotated` or `reach.key_revoked` when the key speaks no more; `reach.registry_unsure` or `kv.unavailable` when nobody can say. */
  mustSpeak(peerId: string): Promise<void>
  /** What is known of these keys and of those that took their place: revocations first; at most `limit`. Faults `reach.registry_unsure`, `kv.unavailable`. */
  about(peerIds: readonly string[], limit: number): Promise<Statement[]>
}

export type RegistryStatementsNeeds = { readonly bucket: Bucket; readonly clock: Clock; readonly log: Log }

/** On a bucket that other registries may write, too: an entry for each key. */
export function registryStatements({ bucket, clock, log }: RegistryStatementsNeeds): RegistryStatements {
  let turn: Promise<unknown> = Promise.resolve()

  /** Opened once: whoever asks costs us no signature to check. */
  const held = new Map<string, { readonly revision: number; readonly statement: Statement }>()

  const read = (entry: Entry | undefined): Statement | undefined => {
    if (!entry) return undefined
    const { key, revision, value } = entry
    const before = held.get(key)
    if (before?.revision === revision) return before.statement
    if (held.size >= maxHeld) held.delete(held.keys().next().value!)
    const statement = openStatement(value)
    held.set(key, { revision, statement })
    return statement
  }
  /** A revocation is final; anything else may have been followed by one, of which who cannot ask knows nothing. */
  const of = async (peerId: string): Promise<Statement | undefined> => {
    const entry = await bucket.get(peerId)
    const statement = read(entry)
    if (entry?.isStale && statement?.says !== 'revoked') throw fault.registry_unsure({ peerId })
    return statement
  }
  /** The statements from a key on, in their order. */
  const follow = async (peerId: string): Promise<Statement[]> => {
    const found: Statement[] = []
    for (let id: string | undefined = peerId; id !== undefined && found.length <= maxRotations;) {
      const known: Statement | undefined = await of(id)
      if (known) found.push(known)
      id = known?.says === 'rotated' ? known.next : undefined
    }
    return found
  }
  const write = async (statement: Statement): Promise<Statement> => {
    const { peerId, signed } = statement
    for (let tries = 0; tries < maxTries; tries++) {
      const present = await bucket.get(peerId)
      const known = read(present)
      if (known && !isNews(known, statement)) {
        const isSame = Buffer.compare(known.signed, signed) === 0
        if (isSame || (known.says === 'revoked' && statement.says === 'revoked')) return known
        throw refusalOf(known)
      }
      const revision = present ? await bucket.update(peerId, signed, present.revision) : await bucket.create(peerId, signed)
      if (revision !== undefined) return statement
    }
    throw fault.registry_busy({ peerId })
  }
  /** A rotation leads to a key that speaks, and not in a circle. */
  const mustLead = async (from: string, next: string): Promise<void> => {
    const after = await follow(next)
    if (after.at(-1)?.says === 'revoked') throw fault.record_invalid({ problem: 'the key it rotates to is revoked' })
    if (after.some((known) => known.says === 'rotated' && known.next === from))
      throw fault.record_invalid({ problem: 'it leads in a circle' })
    if (after.length >= maxRotations) throw fault.record_invalid({ problem: 'too many rotations follow it' })
  }
  const take = async (signed: Uint8Array): Promise<Statement> => {
    const statement = opened(signed)
    if (statement.at > clock.now() + slackMs) throw fault.record_invalid({ problem: 'its time is still to come' })
    if (statement.says === 'rotated') await mustLead(statement.peerId, statement.next)
    try {
      const taken = await write(statement)
      log.info('reach.registry.statement', { peer: statement.peerId, says: statement.says })
      return taken
    } catch (error) {
      throw asFault(error).code === 'kv.full' ? fault.registry_full({ limit: Number(asFault(error).details['maxEntries']) }, error) : error
    }
  }
  return {
    announce(signed) {
      const taken = turn.then(() => take(signed))
      turn = taken.catch(() => {})
      return taken
    },
    async mustSpeak(peerId) {
      const known = await of(peerId)
      if (known) throw refusalOf(known)
    },
    async about(peerIds, limit) {
      const found: Statement[] = []
      for (const peerId of peerIds) if (found.length < maxLooks) found.push(...(await follow(peerId)))
      const isRevocation = ({ says }: Statement): boolean => says === 'revoked'
      return [...found.filter(isRevocation), ...found.filter((known) => !isRevocation(known))].slice(0, limit)
    },
  }
}

function opened(signed: Uint8Array): Statement {
  try {
    return openStatement(signed)
  } catch (error) {
    throw fault.record_invalid({ problem: asFault(error).message }, error)
  }
}

function refusalOf({ peerId, says }: Statement): Fault {
  return says === 'revoked' ? fault.key_revoked({ peerId }) : fault.key_rotated({ peerId })
}
