// Takes messages, whichever way they come: each judged, noted against replay, stored, recorded, and only then confirmed.
import { Fault } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { unseal } from '../../base/identity/seal.ts'
import { fault } from '../faults.ts'
import { addToHistory } from '../history.ts'
import type { Home } from '../home.ts'
import { inboxWriter } from './inbox.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { succession } from '../succession/teller.ts'
import { digestOf, judgeMessage, openItem, openMessage, signReceipt } from './message.ts'
import { openSeenMessages } from './seen.ts'
import { unreadableWriter } from '../mailbox/unreadable.ts'

export type MessageDeskNeeds = {
  readonly identity: Identity
  readonly home: Home
  /** Notes what is known elsewhere of these keys, as `FreshStatements` does. */
  readonly learn?: (peers: readonly string[]) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** What became of a mailbox item: in each case it is not needed in the mailbox any more. */
export type ItemFate = 'taken' | 'known' | 'unreadable'

export interface MessageDesk {
  /** Takes a message from the proved `peer`; answers the receipt. Faults: `reach.message_…`, `reach.too_many_messages`, and those of the store. */
  take(peer: string, signed: Uint8Array): Promise<Uint8Array>
  /** Takes an item from a mailbox. Durable when it resolves; a fault means that it must be fetched again. */
  takeItem(sealed: Uint8Array): Promise<ItemFate>
  close(): Promise<void>
}

/** The desk of a home, as the one process that receives there. Faults of the store and of the folder. */
export function openMessageDesk({ identity, home, clock, log, learn }: MessageDeskNeeds): MessageDesk {
  const seen = openSeenMessages({ clock, log }, home.seen)
  const inbox = inboxWriter(home.inbox)
  const unreadable = unreadableWriter(home.unreadable)
  const statements = knownStatements(home.statements)

  /** What was left for an earlier key is handed over by the rotation. */
  const ownIds = (): string[] => [identity.peerId, ...succession(home.succession, identity.peerId).map(({ peerId }) => peerId)]
  const mustSpeak = async (from: string): Promise<void> => {
    await learn?.([from])
    if (statements.standing(from).is === 'revoked') throw fault.key_revoked({ peerId: from })
  }
  const opened = async (sealed: Uint8Array): Promise<ReturnType<typeof openItem> & { readonly signed: Uint8Array }> => {
    const signed = await unseal(identity, sealed)
    const item = openItem(signed, { own: ownIds(), now: clock.now() })
    await mustSpeak(item.message.from)
    return { signed, ...item }
  }
  const setAside = (sealed: Uint8Array, error: unknown): ItemFate => {
    if (!(error instanceof Fault)) throw error
    const { code, message: problem } = error
    const item = { id: digestOf(sealed), cameAt: clock.now(), code, problem, sealed: Buffer.from(sealed).toString('base64') }
    if (!unreadable.holds(item.id)) unreadable.add(item.cameAt, item)
    log.warn('reach.mailbox.unreadable', { item: item.id, code, problem })
    return 'unreadable'
  }
  return {
    async take(peer, signed) {
      const message = openMessage(signed)
      const { from, id } = message
      const now = clock.now()
      judgeMessage(message, { own: identity.peerId, peer, now }) // first: nobody else is asked about what is refused anyway
      await mustSpeak(from)
      if (!(await seen.add(from, id))) throw fault.message_replayed({ id })
      inbox.add({ ...message, receivedAt: now })
      await addToHistory({ clock, log, identity }, home, { event: 'received', peer: from, id, message: digestOf(signed) })
      log.info('reach.message.received', { peer, id })
      return signReceipt(identity, id, signed, now)
    },
    async takeItem(sealed) {
      let item: Awaited<ReturnType<typeof opened>>
      try {
        item = await opened(sealed)
      } catch (error) {
        return setAside(sealed, error)
      }
      const { message, expiresAt, signed } = item
      const { from, id } = message
      const noted = await seen.noteItem(from, id, expiresAt)
      if (noted.isTaken) return 'known'
      const isHeld = inbox.holds(message) // it came directly as well, or we were killed before it was noted
      if (!isHeld) {
        inbox.add({ ...message, receivedAt: clock.now() })
        await addToHistory({ clock, log, identity }, home, { event: 'received', peer: from, id, message: digestOf(signed), mailbox: true })
        log.info('reach.message.received', { peer: from, id, mailbox: true })
      }
      await noted.done()
      return isHeld ? 'known' : 'taken'
    },
    close: () => seen.close(),
  }
}
