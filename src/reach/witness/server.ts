// Witnesses the ledgers of the peers in our list: one request a stream, within bounds of size, rate and time; nobody else learns anything.
import type { Clock } from '../../kernel/clock.ts'
import { asFault, outside } from '../../kernel/fault.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import { type Witness, openWitness } from '../../base/ledger/witness.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import { authorizedPeers } from '../serving/authorized-peers.ts'
import { fault } from '../faults.ts'
import type { Home } from '../home.ts'
import { readJson, writeJson } from '../json-frames.ts'
import { introductions } from '../succession/introductions.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { rateLimit } from '../../base/access/rate.ts'
import { witnessedPeers } from './peers.ts'
import { type WitnessAnswer, knownAnswer, maxRequestBytes, readRequest, witnessProtocol } from './protocol.ts'

export type WitnessServerNeeds = {
  readonly identity: Identity
  readonly host: Pick<PeerHost, 'handle' | 'dial'>
  readonly home: Home
  /** Notes what is known elsewhere of these keys, as `FreshStatements` does. */
  readonly learn: (peers: readonly string[]) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** A whole conversation takes no longer. */
const patienceMs = 10_000
const maxStreams = 64
const maxStreamsPerPeer = 4

export interface WitnessServer {
  /** Takes no more; resolves when those under way are done. */
  close(): Promise<void>
}

/** Serves on the host, as the one process that does so for this home. Fault `reach.peer_id_invalid` for a damaged list. */
export function serveWitness({ identity, host, home, learn, clock, log }: WitnessServerNeeds): WitnessServer {
  const statements = knownStatements(home.statements)
  const authorized = authorizedPeers({ clock, log, statements }, { ids: [], file: witnessedPeers(home).path })
  const introduce = introductions({ host, statements, clock, log })
  const witness = openWitness({ identity, clock, log }, home.witness)
  const limit = rateLimit(clock, { burst: 20, perSecond: 0.2 })
  const streams = new Map<PeerStream, Promise<void>>()
  let isClosed = false

  /** Whoever is not on the list may be somebody on it with a new key; and who is on it may be revoked. */
  const isWitnessed = async (peer: string): Promise<boolean> => {
    const [listed] = authorized.listedAs(peer)
    const followed = authorized.followed()
    if (listed !== undefined) await learn([listed]) // and of the keys that took its place
    else await Promise.all([introduce(peer, followed), learn(followed)])
    return authorized.allows(peer)
  }
  const answerTo = async (peer: string, value: unknown): Promise<WitnessAnswer> => {
    try {
      if (!(await isWitnessed(peer))) throw fault.not_witnessed({ peer })
      const afterMs = limit.take(peer)
      if (afterMs > 0) throw fault.too_often({ afterMs })
      return await judged(witness, peer, value)
    } catch (error) {
      return refusal(log, peer, error)
    }
  }
  const converse = async (stream: PeerStream): Promise<void> => {
    const cancel = clock.after(patienceMs, () => stream.abort())
    try {
      const requests = readJson(stream.duplex, maxRequestBytes)
      const { done, value } = await requests.next()
      if (done) return
      await writeJson(stream.duplex, await answerTo(stream.remotePeer, value))
      stream.duplex.end()
      await requests.next().catch(() => {}) // the other end ends the stream when it has the answer
    } finally {
      cancel()
    }
  }
  host.handle(witnessProtocol, (stream) => {
    const ofPeer = [...streams.keys()].filter(({ remotePeer }) => remotePeer === stream.remotePeer).length
    if (isClosed || streams.size >= maxStreams || ofPeer >= maxStreamsPerPeer) return stream.abort()
    const done = converse(stream)
      .catch((error: unknown) => log.info('reach.witness.dropped', { peer: stream.remotePeer, problem: asFault(error).message }))
      .finally(() => {
        stream.abort()
        streams.delete(stream)
      })
    streams.set(stream, done)
  })
  return {
    async close() {
      isClosed = true
      authorized.close()
      await Promise.all(streams.values())
    },
  }
}

async function judged(witness: Witness, peer: string, value: unknown): Promise<WitnessAnswer> {
  const request = readRequest(value)
  return 'sign' in request ? { signed: await witness.sign(peer, request.sign) } : knownAnswer(witness.known(peer, request.known))
}

/** A defect of ours is nobody else's business: only its kind leaves. */
function refusal(log: Log, peer: string, error: unknown): WitnessAnswer {
  const { code, kind, message } = asFault(error)
  const isOurs = outside[kind].httpStatus >= 500
  log[isOurs ? 'error' : 'info']('reach.witness.refused', { peer, code, problem: message })
  return { refused: { code, kind, message: isOurs ? 'it cannot witness now' : message } }
}
