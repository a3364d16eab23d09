// Empties our mailbox at a registry: what is there goes to the desk, and is removed at the registry when it is stored here.
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import { randomFraction } from '../../kernel/random.ts'
import { fault } from '../faults.ts'
import { type Server, serverText } from '../registry/known-registries.ts'
import { type MailboxClient, connectMailbox } from './client.ts'
import { digestOf } from '../message/message.ts'
import type { ItemFate, MessageDesk } from '../message/desk.ts'
import type { RegistryDialNeeds } from '../registry/exchange.ts'

/** Pages that are fetched one after the other: more than a mailbox holds. */
const maxPages = 64

/** Takes what the mailbox holds now; answers what became of it. Faults of the connection and of the desk: the rest is still there. */
export async function emptyMailbox(client: MailboxClient, desk: Pick<MessageDesk, 'takeItem'>): Promise<Record<ItemFate, number>> {
  const found = { taken: 0, known: 0, unreadable: 0 }
  const taker = pageTaker(client, desk)
  for (let page = 0; page < maxPages; page++) {
    const items = await client.fetch()
    if (items.length === 0) break
    for (const fate of await taker(items)) found[fate]++
  }
  return found
}

/** Takes one page after the other. Fault `reach.registry_garbled` when the registry hands out what it was told to remove: it would go on for ever. */
function pageTaker(client: MailboxClient, desk: Pick<MessageDesk, 'takeItem'>): (items: readonly Uint8Array[]) => Promise<ItemFate[]> {
  let removed: readonly string[] = []
  return async (items) => {
    const ids = items.map(digestOf)
    if (ids.some((id) => removed.includes(id))) throw fault.registry_garbled({ problem: 'it hands out items that were removed' })
    const fates: ItemFate[] = []
    for (const item of items) fates.push(await desk.takeItem(item))
    await client.remove(ids)
    removed = ids
    return fates
  }
}

export type MailboxKeeperNeeds = RegistryDialNeeds & {
  readonly desk: Pick<MessageDesk, 'takeItem'>
  readonly log: Log
}

export type MailboxKeeperSettings = {
  readonly server: Server
  /** What to wait for first: a dial under way to the same place would be shared, and end with the other's. */
  readonly after?: Promise<unknown>
  /** How long one question waits for an item: 30 s by default. */
  readonly waitMs?: number
}

export interface MailboxKeeper {
  /** Resolves when no item is under way any more. */
  close(): Promise<void>
}

const firstRetryMs = 1_000
const lastRetryMs = 60_000
/** Between pages that brought nothing new: who fills a mailbox with rubbish sets the pace of nothing else. */
const rubbishMs = 1_000

/** Begins by itself and never fails: it waits at the registry for what comes, and connects again when that breaks off. */
export function keepMailbox(needs: MailboxKeeperNeeds, { server, after, waitMs = 30_000 }: MailboxKeeperSettings): MailboxKeeper {
  const { desk, clock, log } = needs
  const stop = new AbortController()
  let retryMs = firstRetryMs
  let told = ''

  const attend = async (client: MailboxClient): Promise<void> => {
    const taker = pageTaker(client, desk)
    while (!stop.signal.aborted) {
      const begunAt = clock.mono()
      const items = await client.fetch(waitMs)
      retryMs = firstRetryMs
      told = ''
      if (items.length > 0) {
        const fates = await taker(items)
        if (!fates.includes('taken')) await clock.wait(rubbishMs, stop.signal)
      } else if (clock.mono() - begunAt < waitMs / 2) await clock.wait(waitMs, stop.signal) // it does not let us wait there
    }
  }
  const connect = async (): Promise<void> => {
    const client = await connectMailbox(needs, server, stop.signal)
    stop.signal.addEventListener('abort', client.close, { once: true })
    try {
      await attend(client)
    } finally {
      stop.signal.removeEventListener('abort', client.close)
      client.close()
    }
  }
  const run = async (): Promise<void> => {
    await after
    while (!stop.signal.aborted) {
      try {
        await connect()
      } catch (error) {
        if (stop.signal.aborted) return
        const { code, message, hint } = asFault(error)
        if (message !== told) log.warn('reach.mailbox.not_fetched', { registry: serverText(server), code, message, hint, retryMs })
        told = message
        await clock.wait(retryMs * (0.75 + randomFraction() / 2), stop.signal).catch(() => {})
        retryMs = Math.min(retryMs * 2, lastRetryMs)
      }
    }
  }
  const running = run()
  return {
    async close() {
      stop.abort(new Error('closed'))
      await running
    },
  }
}
