// Keyed state in a NATS JetStream cluster: buckets that `nats kv` can read, kept by a majority of its servers, shared by all who name the same cluster.
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream'
import { Empty, type MsgHdrs, headers, nanos } from '@nats-io/transport-node'
import { reasonOf } from '../../kernel/fault.ts'
import { answerMs, ask, askAgain, askOnce, unavailable } from './asking.ts'
import { fault } from './faults.ts'
import { type Source, feed } from './jetstream-feed.ts'
import { escapeKey } from './key.ts'
import { type Backing, type Bucket, type Copy, type Kv, type Revision, type Stored, type StoredChange, bucketOver } from './kv.ts'
import { type Nats, type NatsNeeds, type NatsSettings, connectNats } from './nats.ts'

export type JetstreamKvSettings = NatsSettings & {
  /** Before the name of each bucket, so that one cluster can hold several systems: of `A-Z a-z 0-9 _ -`. */
  readonly name: string
  /** On how many servers each bucket lies; a bucket that is there keeps what it has. */
  readonly replicas: number
  /** Of each bucket; 65,536 by default. */
  readonly maxEntries?: number
  /** What tells of a deletion is kept for so long, for those who watch. */
  readonly markMs?: number
}

/** A server answers for its own copy at once, or not at all: then a copy elsewhere may be old, but is there. */
const leaderMs = 1_000
const maxTries = 3
/** Marks of deletions that a list may find before it sweeps them, and how many at a time. */
const maxMarks = 256
const maxWatchers = 1_024
const pauseMs = 500
/** A leader that lost its followers steps down after 10 s: what it took until then has come to its end after this. */
const sameWriteMs = 30_000
/** Servers of a bucket say each second that they are there. */
const silentMs = 3_500
const defaultMarkMs = 60_000
const defaultMaxEntries = 65_536
/** A value, its first line, and what is said with it. */
const maxMessageBytes = 65_536 + 4_096

/** JetStream's code for a stream that is full; the library has no name for it. */
const streamIsFull = 10_077

const operation = 'KV-Operation'
const isMark = (header: MsgHdrs | undefined): boolean => (header?.get(operation) ?? '') !== ''

/** Connects to the cluster; fault `kv.unavailable` when no server answers. Buckets are made when they are first written to. */
export async function openJetstreamKv(needs: NatsNeeds, settings: JetstreamKvSettings): Promise<Kv> {
  const nats = await connectNats(needs, settings)
  const [manager, leader] = await Promise.all(
    [answerMs, leaderMs].map((timeout) => jetstreamManager(nats.connection, { timeout, checkAPI: false })),
  )
  const client = jetstream(nats.connection, { timeout: answerMs })
  const buckets = new Map<string, Bucket>()
  return {
    isShared: true,
    bucket(name) {
      const full = `${settings.name}-${escapeKey(name)}`
      const backing = (): Backing => new JetstreamBacking({ ...needs, nats, manager: manager!, leader: leader!, client }, full, settings)
      const bucket = buckets.get(name) ?? bucketOver(backing(), needs.clock)
      buckets.set(name, bucket)
      return bucket
    },
    async copies() {
      const [first] = buckets.keys()
      return first === undefined ? [] : copiesOf(nats, leader!, `KV_${settings.name}-${escapeKey(first)}`)
    },
    close: () => nats.close(),
  }
}

/** As its leader tells; when there is none nobody knows. */
async function copiesOf(nats: Nats, { streams }: JetStreamManager, stream: string): Promise<readonly Copy[]> {
  const { cluster } = await askOnce(nats, () => streams.info(stream)).catch((error: unknown) => {
    throw unavailable(error)
  })
  const followers = (cluster?.replicas ?? []).map(({ name, current, offline, active, lag }): Copy => {
    const isAway = offline || active > nanos(silentMs) // only after ten seconds is it no longer called current
    return { server: name, is: isAway ? 'away' : current ? 'current' : 'behind', behind: lag ?? 0 }
  })
  return [{ server: cluster?.leader ?? 'the only one', is: 'leader', behind: 0 }, ...followers]
}

type BackingNeeds = NatsNeeds & {
  readonly nats: Nats
  readonly manager: JetStreamManager
  /** The same with less patience: for what another server can answer, too. */
  readonly leader: JetStreamManager
  readonly client: JetStreamClient
}

type Found = Stored & { readonly isMark: boolean }

class JetstreamBacking implements Backing {
  readonly #needs: BackingNeeds
  readonly #bucket: string
  readonly #stream: string
  readonly #source: Source
  readonly #settings: JetstreamKvSettings
  #made: Promise<void> | undefined
  #watchers = 0

  constructor(needs: BackingNeeds, bucket: string, settings: JetstreamKvSettings) {
    this.#needs = needs
    this.#bucket = bucket
    this.#stream = `KV_${bucket}`
    this.#source = { stream: this.#stream, subject: this.#subjectOf('>') }
    this.#settings = settings
  }

  async get(key: string): Promise<Stored | undefined> {
    const found = await this.#find(key)
    return found?.isMark ? undefined : found
  }

  async put(key: string, bytes: Uint8Array, expected: Revision): Promise<Revision | undefined> {
    for (let tries = 0; ; tries++) {
      const revision = await this.#write(key, bytes, expected)
      if (revision !== undefined || expected !== 0 || tries === maxTries) return revision
      const found = await this.#find(key)
      if (found && !found.isMark) return undefined
      if (found) await this.#sweep([found.revision]) // what is absent has left the mark of its deletion
    }
  }

  async remove(key: string, expected: Revision): Promise<boolean> {
    if (expected === 0) return false
    const mark = headers()
    mark.set(operation, 'DEL')
    return (await this.#write(key, Empty, expected, mark)) !== undefined
  }

  async *list(prefix: string): AsyncGenerator<Stored> {
    const marks: Revision[] = []
    for await (const found of this.#present(marks)) if (found.key.startsWith(prefix)) yield found
    if (marks.length > maxMarks) await this.#sweep(marks)
  }

  async *watch(signal: AbortSignal): AsyncGenerator<StoredChange> {
    if (this.#watchers >= maxWatchers) throw fault.too_many_watchers({ bucket: this.#bucket, maxWatchers })
    this.#watchers++
    try {
      for (let feeds = 0; !signal.aborted;) {
        try {
          let isNew = true
          for await (const change of this.#changes(signal)) {
            if (isNew && feeds++ > 0) yield { is: 'reset' }
            isNew = false
            yield change
          }
        } catch (error) {
          if (feeds === 0) throw error
          this.#needs.log.debug('cluster.watch_broken', { bucket: this.#bucket, reason: reasonOf(error) })
        }
        await this.#needs.clock.wait(pauseMs, signal).catch(() => {}) // the signal's reason
      }
    } finally {
      this.#watchers--
    }
  }

  /** What is there, `ready`, and each change. */
  async *#changes(signal: AbortSignal): AsyncGenerator<StoredChange> {
    await this.#make()
    let isReady = false
    for await (const fed of feed(this.#needs, this.#source, signal)) {
      if (fed === 'current') {
        isReady = true
        yield { is: 'ready' }
        continue
      }
      const { key, revision, bytes } = { key: this.#keyOf(fed), revision: fed.seq, bytes: fed.data }
      if (!isMark(fed.headers)) yield { is: 'set', stored: { key, revision, bytes } }
      else if (isReady) yield { is: 'deleted', key, revision }
    }
  }

  /** All entries that are there; the marks of deletions that have served their time are added to `marks`. */
  async *#present(marks: Revision[]): AsyncGenerator<Stored> {
    const { clock } = this.#needs
    await this.#make()
    const stop = new AbortController()
    for await (const fed of feed(this.#needs, this.#source, stop.signal)) {
      if (fed === 'current') return
      if (!isMark(fed.headers)) yield { key: this.#keyOf(fed), revision: fed.seq, bytes: fed.data }
      else if (clock.now() - fed.info.timestampNanos / 1e6 >= (this.#settings.markMs ?? defaultMarkMs)) marks.push(fed.seq)
    }
  }

  /** Only ever the marks themselves: a key that was made anew since has another revision. */
  async #sweep(marks: readonly Revision[]): Promise<void> {
    const { nats, manager } = this.#needs
    const some = marks.slice(0, maxMarks)
    await Promise.allSettled(some.map((mark) => askOnce(nats, () => manager.streams.deleteMessage(this.#stream, mark, false))))
  }

  /** What its leader holds under a key, or else what any server does. */
  async #find(key: string): Promise<Found | undefined> {
    const { nats, clock, manager, leader } = this.#needs
    const last = { last_by_subj: this.#subjectOf(key) }
    const found = (message: StoredMsg | null): Found | undefined =>
      message ? { key, revision: message.seq, bytes: message.data, isMark: isMark(message.header) } : undefined
    try {
      return found(await askOnce(nats, () => leader.streams.getMessage(this.#stream, last)))
    } catch (error) {
      if (error instanceof JetStreamApiError) {
        if (error.code === JetStreamApiCodes.StreamNotFound) return undefined
        throw unavailable(error)
      }
      const stale = found(await askOnce(nats, () => leader.direct.getMessage(this.#stream, last)).catch(() => Promise.reject(error)))
      if (stale && !stale.isMark) return { ...stale, isStale: true }
      return found(await ask(nats, clock, () => manager.streams.getMessage(this.#stream, last))) // that nothing is there only a leader knows
    }
  }

  /**
   * Undefined when the key's last revision, a mark's included, is not `expected` (0: there is none). That it is not 0 a server checks when it stores; any other,
   * before 2.11, only when it hears of it, and then takes several on their way at once. So they are all given one id, of which it takes one. A mark has no
   * writers but its sweepers.
   */
  async #write(key: string, bytes: Uint8Array, expected: Revision, mark?: MsgHdrs, hasSwept = false): Promise<Revision | undefined> {
    const { nats, clock, client } = this.#needs
    const options = {
      expect: { lastSubjectSequence: expected },
      ...(expected === 0 ? {} : { msgID: `${key}:${expected}` }),
      ...(mark ? { headers: mark } : {}),
    }
    await this.#make()
    try {
      const { seq, duplicate } = await ask(nats, clock, () => client.publish(this.#subjectOf(key), bytes, options))
      return duplicate ? undefined : seq
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) {
        this.#made = undefined // it may be that the stream is gone
        throw error
      }
      if (error.code === JetStreamApiCodes.StreamWrongLastSequence) return undefined
      if (error.code !== streamIsFull) throw unavailable(error)
      if (hasSwept) throw fault.full({ bucket: this.#bucket, maxEntries: this.#settings.maxEntries ?? defaultMaxEntries })
      const marks: Revision[] = []
      for await (const _ of this.#present(marks)); // to see the marks
      await this.#sweep(marks)
      return this.#write(key, bytes, expected, mark, true)
    }
  }

  #make(): Promise<void> {
    return (this.#made ??= this.#makeStream().catch((error: unknown) => {
      this.#made = undefined
      throw unavailable(error)
    }))
  }

  async #makeStream(): Promise<void> {
    const { nats, clock, manager } = this.#needs
    const { config } = await askAgain(nats, clock, () => manager.streams.info(this.#stream)).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error
      return askAgain(nats, clock, () => manager.streams.add(streamConfig(this.#bucket, this.#settings)))
    })
    const { max_msgs_per_subject: history, max_age: maxAge, discard } = config
    if (history !== 1 || maxAge !== 0 || discard !== DiscardPolicy.New) throw fault.foreign_bucket({ bucket: this.#bucket })
  }

  #subjectOf(key: string): string {
    return `$KV.${this.#bucket}.${key}`
  }

  #keyOf({ subject }: { readonly subject: string }): string {
    return subject.slice(this.#subjectOf('').length)
  }
}

function streamConfig(bucket: string, { replicas, maxEntries = defaultMaxEntries }: JetstreamKvSettings) {
  return {
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    max_msgs: maxEntries,
    max_msg_size: maxMessageBytes,
    discard: DiscardPolicy.New,
    duplicate_window: nanos(sameWriteMs),
    allow_direct: true,
    allow_rollup_hdrs: true, // as `nats kv` expects of a bucket
  } satisfies Partial<StreamConfig> & { name: string }
}
