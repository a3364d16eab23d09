// The ways of a message: to the recipient directly, and if it cannot be reached, into its mailbox at the registry, with the same id and the same signature.
import { Fault, asFault } from '../../kernel/fault.ts'
import { type Clock, deadline } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { type Identity, isPeerId } from '../../base/identity/identity.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import type { Search } from '../finding/as-found.ts'
import { fault } from '../faults.ts'
import { inRunbookWords, peerDial, unreached } from '../finding/find-peer.ts'
import { addToHistory } from '../history.ts'
import type { Home } from '../home.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { freshStatements } from '../succession/fresh-statements.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { leaveMessage } from '../mailbox/client.ts'
import { type Receipt, digestOf, mailboxLifeMs, signMessage } from './message.ts'
import { deliver } from './client.ts'
import { messageProtocol } from './protocol.ts'
import { connectRegistry } from '../registry/client.ts'

export type SendingNeeds = {
  readonly identity: Identity
  readonly host: PeerHost
  readonly home: Home
  readonly clock: Clock
  readonly log: Log
  /** Told when the message goes to the key in the place of the one that was asked for. */
  readonly followed?: (from: string, to: string) => void
}

export type Letter = {
  /** A whole id, the beginning of one, or a name. */
  readonly peer: string
  readonly text: string
  /** Where the peer listens; then the registry and its mailboxes are not asked. */
  readonly addresses: readonly string[]
  /** As in `KnownRegistries.choose`. */
  readonly server: string | undefined
  /** Through the relay, even if there is a direct way. */
  readonly isRelayed: boolean
  /** Whether it may be left in a mailbox. */
  readonly mayWait: boolean
  /** As in `PeerDialSettings`. */
  readonly searches: readonly Search[]
  /** To the key in the place of a rotated one. */
  readonly followRotations: boolean
}

export type Sent =
  | { readonly is: 'delivered'; readonly to: string; readonly id: string; readonly receivedAt: number }
  /** `why` it was not delivered, and when it ends (wall time, ms). */
  | { readonly is: 'left'; readonly to: string; readonly id: string; readonly expiresAt: number; readonly why: string }

const leaveMs = 20_000

/** Sends one message, and adds it to the history. Faults: those of `peerDial` and `deliver`; `reach.not_reached`, `reach.not_left`. */
export async function sendMessage(needs: SendingNeeds, letter: Letter, signal: AbortSignal): Promise<Sent> {
  const { identity, home, clock, log } = needs
  const mayWait = letter.mayWait && letter.addresses.length === 0
  const way = await findWay(needs, letter, signal)
  const { to } = way
  const { id, signed } = await signMessage(identity, to, letter.text, clock.now(), { mayWait })
  const note = (how: { readonly delivered: boolean; readonly mailbox?: boolean }): Promise<boolean> =>
    addToHistory({ clock, log, identity }, home, { event: 'sent', peer: to, id, message: digestOf(signed), ...how })

  const answer = 'missed' in way ? way.missed : await attempt(clock, way.stream, { id, signed })
  if (!(answer instanceof Fault)) {
    await note({ delivered: true })
    return { is: 'delivered', to, id, receivedAt: answer.receivedAt }
  }
  try {
    if (!mayWait || !absence.has(answer.code)) throw answer
    const expiresAt = await leave(needs, letter, { to, signed }, answer, signal)
    await note({ delivered: false, mailbox: true })
    return { is: 'left', to, id, expiresAt, why: answer.message }
  } catch (error) {
    if ('stream' in way) await note({ delivered: false }) // else nothing left this machine
    throw error
  }
}

/** Faults after which a message may wait for its recipient. Whoever was reached and said no, has said no. */
const absence: ReadonlySet<string> = new Set(['reach.not_reached', 'reach.no_receipt', 'reach.peer_not_found', 'reach.handshake_failed'])

type Way = { readonly to: string; readonly stream: PeerStream } | { readonly to: string; readonly missed: Fault }

/** A stream to the recipient, or why there is none, if it is known at least whom the message is for. Its key still speaks for it, as of now. */
async function findWay(
  { host, home, clock, log, followed }: SendingNeeds,
  { peer, addresses, server, isRelayed, searches, followRotations }: Letter,
  signal: AbortSignal,
): Promise<Way> {
  const known = knownRegistries(home.registries)
  const registry = (signal?: AbortSignal) => connectRegistry({ host, clock, known }, known.choose(server), signal)
  const statements = knownStatements(home.statements)
  const places = { known: knownAddresses(home.addresses), statements }
  const fresh = freshStatements({ host, clock, log, known, statements }, () => (server === undefined ? known.last() : parseServer(server)))
  const dial = peerDial(
    { host, clock, ...places, registry, ...(followed ? { followed } : {}) },
    { peer, addresses, protocol: messageProtocol, searches, followRotations },
  )
  const way = isRelayed ? 'relayed' : 'any'
  const before = statements.standing(peer).is
  const learned = isPeerId(peer) ? fresh.about([peer]) : Promise.resolve() // beside the dial, which may know the place already; a name is asked about anyway
  /** With what was learned meanwhile the next dial is refused, or led on to who comes after the key. */
  const reach = async (): Promise<PeerStream> => {
    const first = await dial(signal, way).catch(asFault)
    await learned
    const speaks = first instanceof Fault ? statements.standing(peer).is === before : statements.standing(first.remotePeer).is === 'valid'
    if (!speaks) {
      if (!(first instanceof Fault)) first.abort()
      return dial(signal, way)
    }
    if (first instanceof Fault) throw first
    return first
  }
  try {
    const stream = await reach()
    return { to: stream.remotePeer, stream }
  } catch (error) {
    const missed = unreached(inRunbookWords(asFault(error), peer))
    const to = missed.details['peer']
    if (typeof to !== 'string' || !isPeerId(to)) throw missed
    return { to, missed }
  } finally {
    void fresh.close()
  }
}

async function attempt(
  clock: Clock,
  stream: PeerStream,
  message: { readonly id: string; readonly signed: Uint8Array },
): Promise<Receipt | Fault> {
  try {
    return await deliver(clock, stream, message)
  } catch (error) {
    return asFault(error)
  }
}

async function leave(
  { host, home, clock }: SendingNeeds,
  { server }: Letter,
  message: { readonly to: string; readonly signed: Uint8Array },
  missed: Fault,
  signal: AbortSignal,
): Promise<number> {
  const known = knownRegistries(home.registries)
  const latest = clock.now() + mailboxLifeMs
  try {
    return Math.min(latest, await leaveMessage({ host, clock, known }, known.choose(server), message, deadline(clock, leaveMs, signal)))
  } catch (error) {
    const problem = asFault(error)
    if (problem.details['code'] === 'reach.no_mailbox' && missed.code === 'reach.peer_not_found') throw missed // nobody knows it
    throw fault.not_left({ why: missed.message, problem: problem.message }, problem)
  }
}
