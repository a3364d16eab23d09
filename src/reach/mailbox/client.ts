// A peer's side of the mailboxes at a registry: leaves what is sealed for others, fetches and removes its own.
import { Fault } from '../../kernel/fault.ts'
import { seal } from '../../base/identity/seal.ts'
import { type Server, serverText } from '../registry/known-registries.ts'
import { type MailboxRequest, mailboxProtocol, maxAnswerBytes, readAnswer, requestValue } from './protocol.ts'
import { type RegistryDialNeeds, dialRegistry, exchangesOn } from '../registry/exchange.ts'

export interface MailboxClient {
  /** Resolves when the registry keeps the item, with its end (wall time, ms). The same item again changes nothing. Fault: `reach.registry_refused`. */
  leave(to: string, item: Uint8Array): Promise<number>
  /** Our oldest items; waits up to `waitMs` for the first. */
  fetch(waitMs?: number): Promise<readonly Uint8Array[]>
  /** `ids`: see `digestOf`. */
  remove(ids: readonly string[]): Promise<void>
  /** Drops the connection. */
  close(): void
}

/** Connects to the mailboxes of a registry. Faults: `reach.registry_unreachable`, `reach.registry_key_changed`. */
export async function connectMailbox(needs: RegistryDialNeeds, server: Server, signal?: AbortSignal): Promise<MailboxClient> {
  const { clock } = needs
  const stream = await dialRegistry(needs, server, mailboxProtocol, signal)
  const exchange = exchangesOn(stream, { name: serverText(server), clock, maxAnswerBytes }, readAnswer)
  const ask = (request: MailboxRequest, moreMs?: number): ReturnType<typeof exchange> => exchange(requestValue(request), moreMs)
  return {
    leave: async (to, item) => (await ask({ do: 'leave', to, item })).expiresAt ?? Infinity,
    fetch: async (waitMs = 0) => (await ask({ do: 'fetch', waitMs }, waitMs)).items,
    async remove(ids) {
      await ask({ do: 'remove', ids })
    },
    close: () => stream.abort('connection'), // it was made for this
  }
}

const maxTries = 3
const againMs = 500

/**
 * Seals a message and leaves it in the recipient's mailbox. A registry that breaks off is asked again with the same bytes, so that it keeps them once.
 * Answers the end of the item there. Faults of `connectMailbox` and `MailboxClient.leave`.
 */
export async function leaveMessage(
  needs: RegistryDialNeeds,
  server: Server,
  { to, signed }: { readonly to: string; readonly signed: Uint8Array },
  signal?: AbortSignal,
): Promise<number> {
  const item = await seal(to, signed)
  for (let tries = 1; ; tries++) {
    let client: MailboxClient | undefined
    try {
      client = await connectMailbox(needs, server, signal)
      return await client.leave(to, item)
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'reach.registry_unreachable' || tries === maxTries) throw error
      await needs.clock.wait(againMs, signal)
    } finally {
      client?.close()
    }
  }
}
