// One visit to our mailbox, for a machine where no process of this identity runs: as long as it lasts, it is the one process that receives.
import { type Clock, deadline } from '../../kernel/clock.ts'
import { asFault } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import type { ProxyFor } from '../../base/peer/proxy.ts'
import { lockFolder } from '../../base/store/lock.ts'
import type { Home } from '../home.ts'
import { type Server, knownRegistries, serverText } from '../registry/known-registries.ts'
import { connectMailbox } from './client.ts'
import { emptyMailbox } from './keeper.ts'
import { openMessageDesk } from '../message/desk.ts'
import { freshStatements } from '../succession/fresh-statements.ts'
import { knownStatements } from '../succession/known-statements.ts'

/** A host that starts meanwhile waits for 10 s. */
const visitMs = 5_000

export type VisitNeeds = {
  readonly home: Home
  readonly identity: () => Promise<Identity>
  readonly clock: Clock
  readonly log: Log
  readonly proxyFor: ProxyFor
}

/**
 * Stores what the mailbox at `server` holds, within 5 s. False when a host of this identity runs, which does that by itself. Faults of the wallet, the
 * connection and the store: what is stored by then, is.
 */
export async function visitMailbox(
  { home, identity: unlock, clock, log, proxyFor }: VisitNeeds,
  server: Server,
  signal: AbortSignal,
): Promise<boolean> {
  await using visit = new AsyncDisposableStack()
  const lock = whenAlone(home)
  if (!lock) return false
  visit.defer(() => lock.release())
  const inTime = deadline(clock, visitMs, signal)
  const identity = await unlock()
  const host = visit.adopt(await createPeerHost({ identity, clock, log, proxyFor }, { listen: [] }), (host) => host.close())
  const known = knownRegistries(home.registries)
  const statements = knownStatements(home.statements)
  const fresh = visit.adopt(
    freshStatements({ host, clock, log, known, statements }, () => server),
    (fresh) => fresh.close(),
  )
  const desk = visit.adopt(openMessageDesk({ identity, home, learn: fresh.about, clock, log }), (desk) => desk.close())
  const client = await connectMailbox({ host, clock, known }, server, inTime)
  inTime.addEventListener('abort', client.close, { once: true })
  visit.defer(client.close)
  await emptyMailbox(client, desk)
  return true
}

/** The same for a command that goes on without: what went wrong is only told. */
export async function tryToVisitMailbox(
  needs: VisitNeeds,
  server: Server,
  signal: AbortSignal,
  note: (text: string) => void,
): Promise<void> {
  try {
    await visitMailbox(needs, server, signal)
  } catch (error) {
    const { message, hint } = asFault(error)
    note(`the mailbox at ${serverText(server)} could not be emptied: ${message}${hint ? ` (${hint})` : ''}`)
  }
}

function whenAlone({ folder }: Home): ReturnType<typeof lockFolder> | undefined {
  try {
    return lockFolder(folder, 'host')
  } catch (error) {
    if (asFault(error).code === 'store.locked') return undefined
    throw error
  }
}
