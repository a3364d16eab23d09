// Takes the files that come in, from those on the list alone: each offer judged, its bytes stored as they come, checked, recorded, and only then confirmed.
import { asFault, outside } from '../../kernel/fault.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Identity } from '../../base/identity/identity.ts'
import type { PeerHost, PeerStream } from '../../base/peer/host/host.ts'
import type { IncomingFile } from '../../base/transfer/incoming-file.ts'
import { type IncomingFolder, incomingFolder } from '../../base/transfer/incoming-folder.ts'
import { fault } from './faults.ts'
import { type Offer, openOffer, signFileReceipt } from './offer.ts'
import { type FileAnswer, fileAnswerValue, fileProtocol, heldEveryMs, maxOfferRequestBytes, readOffer } from './protocol.ts'
import { type FileSenders, fileSenders } from './senders.ts'
import { knownStatements } from '../succession/known-statements.ts'
import { addToHistory } from '../history.ts'
import type { Home } from '../home.ts'
import { inboxWriter, messagesAfter } from '../message/inbox.ts'
import { readFirstJson, writeJson } from '../json-frames.ts'
import { digestOf, judgeMessage } from '../message/message.ts'

export type FileServerNeeds = {
  readonly identity: Identity
  readonly host: Pick<PeerHost, 'handle'>
  readonly home: Home
  /** Notes what is known elsewhere of these keys, as `FreshStatements` does. */
  readonly learn?: (peers: readonly string[]) => Promise<void>
  readonly clock: Clock
  readonly log: Log
  /** Whether somebody waits for answers that pass through this process, beside whom a file should go gently. */
  readonly isBusy?: () => boolean
}

export type FileServerSettings = {
  /** Files that come in at once: 16 by default, and 4 of one peer. */
  readonly maxFiles?: number
  readonly maxFilesPerPeer?: number
  /** An offer must have come within this: 10 s by default. */
  readonly offerMs?: number
  /** A sender that sends nothing for so long is gone: 30 s by default. */
  readonly silentMs?: number
}

/** Bytes a second beside a tunnel that is in use. */
const gentleRate = 16 << 20
/** How long a sender may take to read its answer. */
const farewellMs = 5_000
/** Streams that are open at once, in all and of one peer. */
const maxStreams = 256
const maxStreamsPerPeer = 8
const sweepEveryMs = 3_600_000

export interface FileServer {
  /** Takes no more; resolves when those under way are let go of. */
  close(): Promise<void>
}

/** Serves on the host, as the one process that does so for this home. */
export function serveFiles(needs: FileServerNeeds, settings: FileServerSettings = {}): FileServer {
  const { host, home, clock, log } = needs
  const { maxFiles = 16, maxFilesPerPeer = 4, offerMs = 10_000, silentMs = 30_000 } = settings
  const desk: Desk = {
    ...needs,
    limits: { maxFiles, maxFilesPerPeer, offerMs, silentMs },
    senders: speakingSenders(home),
    folder: incomingFolder({ clock }, { path: home.downloads }),
    taking: new Map(),
  }
  const streams = new Map<PeerStream, Promise<void>>()
  let isClosed = false
  const stopSweeping = keepSweeping(desk)
  host.handle(fileProtocol, (stream) => {
    const { remotePeer } = stream
    const ofPeer = [...streams.keys()].filter((other) => other.remotePeer === remotePeer).length
    if (isClosed || streams.size >= maxStreams || ofPeer >= maxStreamsPerPeer) return stream.abort()
    const done = converse(desk, stream)
      .catch((error: unknown) => log.info('reach.file.dropped', { peer: remotePeer, problem: asFault(error).message }))
      .finally(() => {
        stream.abort()
        streams.delete(stream)
      })
    streams.set(stream, done)
  })
  return {
    async close() {
      isClosed = true
      stopSweeping()
      for (const stream of streams.keys()) stream.abort()
      await Promise.all(streams.values())
    },
  }
}

type Desk = FileServerNeeds & {
  readonly limits: Required<FileServerSettings>
  readonly senders: Pick<FileSenders, 'of'>
  readonly folder: IncomingFolder
  /** What comes in now, by sender and id: a sender that comes back takes the place of the connection that it lost. */
  readonly taking: Map<string, { readonly peer: string; readonly stream: PeerStream; readonly done: Promise<unknown> }>
}

/** Those whose files are taken, less the revoked. */
function speakingSenders(home: Home): Pick<FileSenders, 'of'> {
  const listed = fileSenders(home.fileSenders)
  const statements = knownStatements(home.statements)
  return { of: (peer) => (statements.standing(peer).is === 'revoked' ? undefined : listed.of(peer)) }
}

function keepSweeping({ clock, log, folder }: Desk): () => void {
  let cancel = (): void => {}
  const sweep = (): void => {
    try {
      folder.sweep()
    } catch (error) {
      log.warn('reach.files.not_swept', { problem: asFault(error).message })
    }
    cancel = clock.after(sweepEveryMs, sweep)
  }
  sweep()
  return () => cancel()
}

async function converse(desk: Desk, stream: PeerStream): Promise<void> {
  const { clock, log } = desk
  const answer = await answerTo(desk, stream).catch((error: unknown): FileAnswer => refusal(error))
  if ('refused' in answer) log.info('reach.file.refused', { peer: stream.remotePeer, ...answer.refused })
  if (stream.duplex.destroyed) return
  const cancel = clock.after(farewellMs, () => stream.abort())
  await writeJson(stream.duplex, fileAnswerValue(answer))
  await stream.close() // what still comes is nobody's
  cancel()
}

async function answerTo(desk: Desk, stream: PeerStream): Promise<FileAnswer> {
  const { identity, clock, senders, limits, learn } = desk
  const peer = stream.remotePeer
  if (senders.of(peer)) await learn?.([peer])
  const sender = senders.of(peer)
  if (!sender) throw fault.files_not_taken({}) // before anything of theirs is read
  const cancel = clock.after(limits.offerMs, () => stream.abort())
  const signed = readOffer(await readFirstJson(stream.duplex, maxOfferRequestBytes).finally(cancel))
  const offer = openOffer(signed)
  judgeMessage(offer, { own: identity.peerId, peer, now: clock.now() })
  const { sizeBytes } = offer
  if (sizeBytes > sender.maxBytes) throw fault.file_too_large({ sizeBytes, maxBytes: sender.maxBytes })
  const name = `${peer}/${offer.id}`
  for (let before = desk.taking.get(name); before; before = desk.taking.get(name)) {
    before.stream.abort()
    await before.done.catch(() => {})
  }
  const ofPeer = [...desk.taking.values()].filter((other) => other.peer === peer).length
  if (desk.taking.size >= limits.maxFiles) throw fault.too_many_files({ limit: limits.maxFiles })
  if (ofPeer >= limits.maxFilesPerPeer) throw fault.too_many_files({ limit: limits.maxFilesPerPeer })
  const done = take(desk, stream, offer, signed).finally(() => desk.taking.delete(name))
  desk.taking.set(name, { peer, stream, done })
  return done
}

async function take(desk: Desk, stream: PeerStream, offer: Offer, signed: Uint8Array): Promise<FileAnswer> {
  const { identity, clock, folder } = desk
  const begun = await folder.begin(offer)
  if ('storedAs' in begun) {
    await record(desk, offer, signed, begun.storedAs, true)
    return { receipt: await signFileReceipt(identity, offer, signed, clock.now()) }
  }
  const { file } = begun
  try {
    await receive(desk, stream, offer, file)
    const name = await file.finish(offer.name)
    await record(desk, offer, signed, name, false)
    return { receipt: await signFileReceipt(identity, offer, signed, clock.now()) }
  } catch (error) {
    if (asFault(error).code === 'transfer.no_room') await file.discard() // others need the room more than we the part
    throw error
  } finally {
    await file.close()
  }
}

/** Asks for what is missing and stores it; returns when as many bytes are there as were offered. */
async function receive(
  { clock, senders, limits, isBusy }: Desk,
  stream: PeerStream,
  { from, sizeBytes }: Offer,
  file: IncomingFile,
): Promise<void> {
  const { duplex } = stream
  let isWaiting = true
  let lastHeard = clock.mono()
  let cancel = (): void => {}
  /** Whoever was taken off the list is told so when it comes again. */
  const isListed = (): boolean => {
    try {
      return senders.of(from) !== undefined
    } catch {
      return false
    }
  }
  const tick = (): void => {
    cancel = clock.after(heldEveryMs, tick)
    if (!duplex.writableNeedDrain)
      void writeJson(duplex, fileAnswerValue({ held: file.heldBytes, ...(isBusy?.() ? { rate: gentleRate } : {}) }))
    if (!isListed() || (isWaiting && clock.mono() - lastHeard > limits.silentMs)) stream.abort()
  }
  tick()
  try {
    let missing = sizeBytes - file.heldBytes
    const pieces = duplex.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>
    while (missing > 0) {
      const { done, value } = await pieces.next()
      if (done) throw fault.file_cut({ peer: from, problem: 'it ended the stream' })
      lastHeard = clock.mono()
      missing -= value.length
      isWaiting = false
      await file.write(value)
      isWaiting = true
    }
  } finally {
    cancel()
  }
}

async function record(
  { identity, clock, log, home }: Desk,
  offer: Offer,
  signed: Uint8Array,
  name: string,
  isAgain: boolean,
): Promise<void> {
  const { from, to, id, sentAt, sizeBytes, sha256 } = offer
  if (isAgain && messagesAfter(home.inbox).some(({ message }) => message.id === id && message.from === from)) return
  inboxWriter(home.inbox).add({ from, to, id, sentAt, receivedAt: clock.now(), text: '', file: { name, sizeBytes, sha256 } })
  const facts = { message: digestOf(signed), file: { sizeBytes, sha256 } }
  await addToHistory({ clock, log, identity }, home, { event: 'received', peer: from, id, ...facts })
  log.info('reach.file.received', { peer: from, id, sizeBytes })
}

/** What is wrong here is nobody else's business: but for a full disk, only its kind leaves. */
function refusal(error: unknown): FileAnswer {
  const { code, kind, message } = asFault(error)
  const isOurs = outside[kind].httpStatus >= 500
  const told = code === 'transfer.no_room' ? 'there is no room for it on the disk' : isOurs ? 'it cannot take files now' : message
  return { refused: { code, kind, message: told } }
}
