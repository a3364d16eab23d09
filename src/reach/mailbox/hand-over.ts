// What was left for a key that was rotated meanwhile goes on to the next one: as its sender signed it, sealed anew.
import type { Clock } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { seal, unseal } from '../../base/identity/seal.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { digestOf } from '../message/message.ts'
import type { KnownRegistries, Server } from '../registry/known-registries.ts'
import { connectMailbox } from './client.ts'

/** More than a mailbox holds. */
const maxPages = 64

export type HandOverNeeds = { readonly clock: Clock; readonly log: Log; readonly known: KnownRegistries }

/**
 * Moves what the mailbox of `old` holds at the registry into that of `next`, whose desk judges it as if it had been left there; answers how many items. Each is
 * removed only when it lies there: a stop in between leaves it in both, and it is shown once. Faults of `connectMailbox` and `MailboxClient.leave`.
 */
export async function handOverMailbox(
  { clock, log, known }: HandOverNeeds,
  server: Server,
  { old, next }: { readonly old: Identity; readonly next: string },
  signal: AbortSignal,
): Promise<number> {
  await using visit = new AsyncDisposableStack()
  const host = visit.adopt(await createPeerHost({ identity: old, clock, log }, { listen: [] }), (host) => host.close())
  const client = visit.adopt(await connectMailbox({ host, clock, known }, server, signal), (client) => client.close())
  let count = 0
  for (let page = 0; page < maxPages; page++) {
    const items = await client.fetch()
    if (items.length === 0) break
    for (const item of items) {
      const signed = await opened(log, old, item)
      if (signed) {
        await client.leave(next, await seal(next, signed))
        count++
      }
      await client.remove([digestOf(item)])
    }
  }
  return count
}

/** Undefined for what nobody can read: the key that it was sealed for is about to go. */
async function opened(log: Log, old: Identity, item: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    return await unseal(old, item)
  } catch (error) {
    log.warn('reach.mailbox.unreadable', { item: digestOf(item), problem: asFault(error).message })
    return undefined
  }
}
