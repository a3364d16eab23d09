// Answers requests to an API from what is kept, or with one call for all who ask for the same at the same time.
import type { Readable } from 'node:stream'
import type { Identity } from '../base/identity/identity.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { type AnswerHead, budgetOf, ttlOf, waitOf } from './request/freshness.ts'
import { hasErrors } from './request/graphql.ts'
import { type ApiRequest, type Scope, credentialOf, graphqlSubject, hidden, isGraphql, keyOf, subjectOf } from './request/request.ts'
import type { Outcome } from './cluster/board.ts'
import type { Cluster, Got } from './cluster/cluster.ts'
import { holdIn } from './cluster/holds.ts'
import { type Answer, type Entry, headerOf, isFresh, seal } from './entry/entry.ts'
import type { Group } from './entry/group.ts'
import { createOpener } from './entry/opener.ts'
import type { Shelf } from './shelf.ts'

export type CacheNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly shelf: Shelf
  readonly group: Group
  readonly identity: Identity
  /** Sends the request as it is to the API. Rejects when nobody answered. */
  readonly ask: (request: ApiRequest) => Promise<Reply>
  /** The others of the group; absent: there are none. */
  readonly cluster?: Cluster | undefined
}

/** `rest`: more of the body than is kept; it belongs to who asked. */
export type Reply = { readonly answer: Answer; readonly rest?: Readable }

export type CacheSettings = {
  /** Of answers about which nothing else is known. */
  readonly defaultTtlMs: number
  /** For so long after its time an answer may still be given, marked as stale, while the API cannot be asked; 0: never. */
  readonly staleMs: number
  /** One name for all who have a credential: what one of them may read, all may. */
  readonly sharedScope?: string | undefined
}

export type Served = Reply & { readonly how: 'hit' | 'peer' | 'joined' | 'stale' | 'held back' | 'fetched'; readonly ageMs: number }

export interface Cache {
  /** A request that may be answered from here (`asked(request).is === 'read'`). `mustAsk`: the API is asked whether what is kept still holds. */
  read(request: ApiRequest, mustAsk: boolean): Promise<Served>
  /** To be called when a write was sent, whatever came of it: what is kept of the subject goes, of all when it is undefined. */
  written(subject: string | undefined): void
  /** A call reached the API that passes by what is kept. */
  passed(): void
}

/** What one call came to. `isKept`: others may have it as well. `isOld`: they may not, since something was written meanwhile. */
type Fetched = { readonly served: Served; readonly credential: string | undefined; readonly isKept: boolean; readonly isOld?: boolean }
type Held = { readonly untilMs: number; readonly answer: Answer }

const maxHeld = 1_024
const maxTries = 3

export function createCache({ clock, log, shelf, group, identity, ask, cluster }: CacheNeeds, settings: CacheSettings): Cache {
  const { defaultTtlMs, staleMs } = settings
  const scope: Scope = { keyBytes: group.nameKey, shared: settings.sharedScope }
  const flights = new Map<string, Promise<Fetched>>()
  const held = new Map<string, Held>()
  /** Grows with each write: what was asked for before it is not kept. */
  let writes = 0
  const opener = createOpener({ clock, group })

  const refuse = (why: string): undefined => {
    shelf.count('refused')
    log.warn('share.entry_refused', { why })
  }
  const find = (key: string): Entry | undefined => {
    const bytes = shelf.get(key)
    const found = bytes && opener.open(bytes, key)
    if (found?.is !== 'refused') return found?.entry
    shelf.remove(key)
    return refuse(found.why)
  }
  const fromEntry = ({ answer, atMs }: Entry, how: Served['how']): Served => ({ answer, how, ageMs: Math.max(clock.now() - atMs, 0) })
  const fresh = (reply: Reply, how: Served['how']): Served => ({ ...reply, how, ageMs: 0 })

  const holdBack = (budget: string, waitMs: number, answer: Answer): void => {
    if (held.size >= maxHeld) held.delete(held.keys().next().value!)
    held.set(budget, { untilMs: clock.mono() + waitMs, answer })
  }
  /** The others hear of it before they hear what came of the lease; not if it is of this machine's address alone, as that of who has no credential is. */
  const holdAllBack = async (budget: string, waitMs: number, answer: Answer, credential: string | undefined): Promise<void> => {
    const told = { ...answer, headers: answer.headers.filter(([name]) => name.toLowerCase() !== 'set-cookie') } // it is for who asked
    holdBack(budget, waitMs, told)
    if (credential === undefined) return
    cluster?.hold(budget, await seal({ key: budget, atMs: clock.now(), ttlMs: waitMs, asker: '', answer: told }, group, identity))
  }
  /** The API's own words, with the time that is left. */
  const heldBack = (budget: string): Answer | undefined => {
    const found = held.get(budget)
    const leftMs = found ? found.untilMs - clock.mono() : 0
    if (!found || leftMs <= 0) return (held.delete(budget), undefined)
    const { answer } = found
    const left = String(Math.ceil(leftMs / 1_000))
    return { ...answer, headers: answer.headers.map(([name, value]) => [name, name.toLowerCase() === 'retry-after' ? left : value]) }
  }

  /** For how long it is kept, 0 where the API must be asked about it each time; undefined: it may not be kept. */
  const keepReply = async (request: ApiRequest, key: string, asker: string, { answer, rest }: Reply): Promise<number | undefined> => {
    const ttlMs = ttlOf(request, headOf(answer), defaultTtlMs)
    if (ttlMs === undefined || rest || (isGraphql(request) && hasErrors(answer.body))) return undefined
    const entry = { key, atMs: clock.now(), ttlMs, asker, answer }
    const subject = hidden(group.nameKey, 'subject', subjectOf(request))
    const before = writes
    const sealed = await seal(entry, group, identity)
    opener.know(sealed, { is: 'entry', origin: identity.peerId, entry })
    return before === writes && shelf.put(key, { sealed, atMs: entry.atMs, subject }) ? ttlMs : undefined
  }

  /** What somebody else of the group was told, if it can be believed and still holds. */
  const fromPeer = (key: string, subject: string, sealed: Uint8Array): Entry | undefined => {
    const found = opener.open(sealed, key)
    if (found.is === 'refused') return refuse(found.why)
    if (!isFresh(found.entry, clock.now())) return refuse('its time is over')
    shelf.put(key, { sealed, atMs: found.entry.atMs, subject })
    return found.entry
  }

  /** What was on its way while something was written may be older than that: the others are asked again, who have heard of it. */
  const want = async (key: string, subject: string): Promise<{ readonly got?: Got; readonly peers?: Entry | undefined }> => {
    if (!cluster) return {}
    for (let tries = 0; tries < maxTries; tries++) {
      const before = writes
      const got = await cluster.want(key)
      if (got.is !== 'entry') return { got }
      if (before === writes) return { got, peers: fromPeer(key, subject, got.sealed) }
    }
    return {}
  }

  /** First the others of the group are asked, then the API; with a lease it is asked for all of them, who are told what came of it. */
  const fetchAnswer = async (request: ApiRequest, key: string, entry: Entry | undefined, mustAsk: boolean): Promise<Fetched> => {
    const credential = credentialOf(request)
    const subject = hidden(group.nameKey, 'subject', subjectOf(request))
    const { got, peers } = mustAsk ? {} : await want(key, subject)
    if (peers) {
      shelf.count('peer_hits')
      return { served: fromEntry(peers, 'peer'), credential, isKept: true }
    }
    let outcome: Outcome = 'failed'
    try {
      const fetched = await askAgain(request, key, entry, credential)
      outcome = outcomeOf(fetched)
      return fetched
    } finally {
      if (got?.is === 'lease') cluster!.done(key, subject, outcome, outcome === 'kept' ? shelf.get(key) : undefined)
    }
  }

  const askAgain = async (request: ApiRequest, key: string, entry: Entry | undefined, credential: string | undefined): Promise<Fetched> => {
    const asker = hidden(group.nameKey, 'asker', credential ?? '')
    const payer = settings.sharedScope === undefined || credential === undefined ? asker : '' // those of one scope have one budget
    const budget = hidden(group.nameKey, 'budget', `${budgetOf(request)} ${payer}`)
    const stale = (): Fetched | undefined => {
      if (!entry || clock.now() >= entry.atMs + entry.ttlMs + staleMs) return undefined
      shelf.count('stale_hits')
      return { served: fromEntry(entry, 'stale'), credential, isKept: true }
    }
    const wait = heldBack(budget)
    if (wait) {
      const old = stale()
      if (old) return old
      shelf.count('held_back')
      return { served: fresh({ answer: wait }, 'held back'), credential, isKept: false }
    }
    const etag = entry?.asker === asker ? headerOf(entry.answer, 'etag') : undefined
    const before = writes
    let reply: Reply
    try {
      reply = await ask(etag === undefined ? request : { ...request, headers: { ...request.headers, 'if-none-match': etag } })
    } catch (error) {
      const old = stale()
      if (old) return old
      throw error
    }
    shelf.count('api_calls_made')
    const { status } = reply.answer
    const waitMs = waitOf(headOf(reply.answer), clock.now())
    if (waitMs !== undefined) await holdAllBack(budget, waitMs, reply.answer, credential)
    const old = status >= 500 || waitMs !== undefined ? stale() : undefined
    if (old) {
      reply.rest?.destroy()
      return old
    }
    shelf.count('misses')
    const isUnchanged = status === 304 && etag !== undefined
    if (isUnchanged) shelf.count('not_modified')
    const whole = isUnchanged ? { answer: renewed(entry!.answer, reply.answer) } : reply
    const keptMs = before === writes ? await keepReply(request, key, asker, whole) : undefined
    if (keptMs === undefined && entry && status < 500) shelf.remove(key)
    return { served: fresh(whole, 'fetched'), credential, isKept: keptMs !== undefined && keptMs > 0, isOld: before !== writes }
  }

  const read = async (request: ApiRequest, mustAsk: boolean): Promise<Served> => {
    const key = keyOf(request, scope)
    for (let running = mustAsk ? undefined : flights.get(key); running; running = flights.get(key)) {
      const fetched = await running
      const { served } = fetched
      if (canJoin(fetched, credentialOf(request))) {
        const isStale = served.how === 'stale'
        shelf.count(isStale ? 'stale_hits' : 'local_hits')
        shelf.count('joined')
        return isStale ? served : { ...served, how: 'joined' }
      }
      if (served.answer.status < 400 && !fetched.isOld) break // it was for one request alone: nobody gains by waiting for the next
    }
    const entry = find(key)
    if (entry && !mustAsk && isFresh(entry, clock.now())) {
      shelf.count('local_hits')
      return fromEntry(entry, 'hit')
    }
    if (entry && !isFresh(entry, clock.now())) shelf.count('expirations')
    const flight = fetchAnswer(request, key, entry, mustAsk)
    flights.set(key, flight)
    try {
      return (await flight).served
    } finally {
      if (flights.get(key) === flight) flights.delete(key)
    }
  }
  const forget = (subjects?: readonly string[]): void => {
    writes++
    shelf.forget(subjects)
  }
  cluster?.listen({
    forget,
    hold(budget, sealed) {
      const told = holdIn(sealed, budget, group, clock.now())
      if (told) holdBack(budget, told.untilMs - clock.now(), told.answer)
    },
  })
  return {
    read,
    written(subject) {
      const subjects = subject === undefined ? undefined : [subject, graphqlSubject].map((name) => hidden(group.nameKey, 'subject', name))
      forget(subjects)
      cluster?.forget(subjects)
    },
    passed() {
      shelf.count('api_calls_made')
      shelf.count('passed')
    },
  }
}

/** An error is the answer of one credential; what must not be kept is an answer to one request. */
function canJoin({ isKept, served: { answer, rest }, credential }: Fetched, asking: string | undefined): boolean {
  return isKept || (answer.status >= 400 && !rest && credential === asking)
}

/** What comes out of the shelf after its time is nothing that others could keep; after a write one of them asks for all. */
function outcomeOf({ isKept, isOld, served: { answer, how } }: Fetched): Outcome {
  if (isOld || answer.status >= 400) return 'failed'
  return isKept && how !== 'stale' ? 'kept' : 'forOne'
}

function headOf({ status, headers }: Answer): AnswerHead {
  const named: Record<string, string> = {}
  for (const [given, value] of headers) {
    const name = given.toLowerCase()
    named[name] = named[name] === undefined ? value : `${named[name]}, ${value}`
  }
  return { status, headers: named }
}

/** What is kept, with the headers that the API sent now (RFC 9111 §3.2); those that describe the body stay. */
function renewed(kept: Answer, { headers }: Answer): Answer {
  const describing = /^(?:content-.*|transfer-encoding)$/i
  const said = headers.filter(([name]) => !describing.test(name))
  const names = new Set(said.map(([name]) => name.toLowerCase()))
  return { ...kept, headers: [...kept.headers.filter(([name]) => !names.has(name.toLowerCase())), ...said] }
}
