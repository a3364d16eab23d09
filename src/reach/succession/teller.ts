// How an identity shows that it came from earlier ones, with no registry between: whoever opens a stream to it gets what the earlier keys signed. Asking needs no
// leave, for who knows one of those ids knows nothing more then than where its owner went.
import { dirname } from 'node:path'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import type { PeerHost } from '../../base/peer/host/host.ts'
import { slots } from '../../base/peer/slots.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { type Statement, maxRotations, readStatements, rotationsTo, statementsFrom, statementsText } from './statement.ts'

const successionProtocol = '/fairlead/succession/1'
const maxAnswerBytes = 32 << 10
const answerMs = 5_000
const maxStreams = 64
const maxStreamsPerPeer = 4
/** Of all identities that this folder ever had. */
const maxOwn = 256

/** The statements by which `peerId` took the place of earlier ids, oldest first; those in the file that lead elsewhere do not count. */
export function succession(path: string, peerId: string): Statement[] {
  return rotationsTo(peerId, statementsIn(path))
}

/** Adds a statement of our own. */
export function addToSuccession(path: string, statement: Statement): void {
  const others = statementsIn(path).filter(({ peerId }) => peerId !== statement.peerId)
  write(path, [...others, statement].slice(-maxOwn))
}

/** Takes back what the key said. */
export function removeFromSuccession(path: string, from: string): void {
  const all = statementsIn(path)
  const others = all.filter(({ peerId }) => peerId !== from)
  if (others.length < all.length) write(path, others)
}

function write(path: string, statements: readonly Statement[]): void {
  makeFolder(dirname(path))
  writeWhole(path, `${JSON.stringify({ statements: statementsText(statements) }, undefined, 2)}\n`)
}

function statementsIn(path: string): Statement[] {
  try {
    return readStatements((JSON.parse(readText(path) ?? '{}') as { statements?: unknown }).statements, maxOwn) ?? []
  } catch {
    return []
  }
}

/** Tells whoever asks. */
export function tellSuccession({ host, clock }: { host: Pick<PeerHost, 'handle'>; clock: Clock }, told: () => readonly Statement[]): void {
  const take = slots({ most: maxStreams, perPeer: maxStreamsPerPeer })
  host.handle(successionProtocol, (stream) => {
    const giveBack = take(stream)
    if (!giveBack) return stream.abort()
    const cancel = clock.after(answerMs, () => stream.abort())
    void writeJson(stream.duplex, { statements: statementsText(told()) })
      .then(() => stream.close())
      .catch(() => stream.abort())
      .finally(() => {
        cancel()
        giveBack()
      })
  })
}

/**
 * Asks whoever answers at the addresses, or the peer of that id over its open connection, which earlier ids it had. Answers the statements
 * that lead from one of `from` to the id it proved: none when it had none of them, does not tell, or is not there.
 */
export async function askSuccession(
  { host, clock }: { host: Pick<PeerHost, 'dial'>; clock: Clock },
  { from, peerId, addresses }: { from: readonly string[]; peerId?: string; addresses: readonly string[] },
  signal?: AbortSignal,
): Promise<Statement[]> {
  const inTime = deadline(clock, answerMs, signal)
  const places = addresses.map(withoutPeer)
  try {
    const stream = await host.dial(peerId, places, successionProtocol, inTime)
    const stop = (): void => stream.abort()
    inTime.addEventListener('abort', stop)
    try {
      const { value } = (await readJson(stream.duplex, maxAnswerBytes).next()) as { value?: { statements?: unknown } | null }
      const told = readStatements(value?.statements, maxRotations) ?? []
      return statementsFrom(from, rotationsTo(stream.remotePeer, told))
    } finally {
      inTime.removeEventListener('abort', stop)
      stream.abort()
    }
  } catch {
    return [] // what cannot be asked tells nothing
  }
}

/** The address, whoever is there. */
export function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '')
}
