// What programs keep here by names of their own, beside the answers of the API: sealed, signed, bounded and shared with the group as those are.
import type { Identity } from '../base/identity/identity.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Cluster } from './cluster/cluster.ts'
import { type Entry, isFresh, seal } from './entry/entry.ts'
import type { Group } from './entry/group.ts'
import { createOpener } from './entry/opener.ts'
import { fault } from './faults.ts'
import { hidden } from './request/request.ts'
import type { Shelf } from './shelf.ts'

export type ValuesNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly shelf: Shelf
  readonly group: Group
  readonly identity: Identity
  /** The others of the group; absent: there are none. */
  readonly cluster?: Cluster | undefined
}

/** A value is whatever JSON can say. It is for all of the group: who puts it there says so. */
export interface Values {
  /** Undefined: there is none, or its time is over. */
  get(name: string): Promise<unknown>
  /** In the place of what was there, here and elsewhere. Faults: `share.value_invalid`, `share.value_too_large`. */
  put(name: string, value: unknown, ttlMs: number): Promise<void>
  /** Forgotten here and elsewhere. */
  invalidate(name: string): void
}

/** So that one fits into a call of the proxy's own API. */
const maxValueBytes = 512 << 10

export function createValues({ clock, log, shelf, group, identity, cluster }: ValuesNeeds): Values {
  const keyOf = (name: string): string => hidden(group.nameKey, 'value', name)
  const subjectOf = (name: string): string => hidden(group.nameKey, 'subject', `value ${name}`)
  const opener = createOpener({ clock, group })
  const opened = (key: string, sealed: Uint8Array): Entry | undefined => {
    const found = opener.open(sealed, key)
    if (found.is === 'entry') return found.entry
    shelf.count('refused')
    log.warn('share.entry_refused', { why: found.why })
    return undefined
  }
  const kept = (key: string): Entry | undefined => {
    const sealed = shelf.get(key)
    if (!sealed) return undefined
    const entry = opened(key, sealed)
    if (!entry) shelf.remove(key)
    if (!entry || isFresh(entry, clock.now())) return entry
    shelf.count('expirations')
    return undefined
  }
  /** Waits for whoever is putting it there just now. */
  const fromPeer = async (key: string, subject: string): Promise<Entry | undefined> => {
    const before = shelf.forgets
    const got = await cluster?.want(key)
    if (got?.is === 'lease') cluster!.done(key, subject, 'failed') // to look does not mean to have it made
    if (got?.is !== 'entry' || shelf.forgets !== before) return undefined
    const entry = opened(key, got.sealed)
    if (!entry || !isFresh(entry, clock.now())) return undefined
    shelf.put(key, { sealed: got.sealed, atMs: entry.atMs, subject })
    return entry
  }
  return {
    async get(name) {
      const key = keyOf(name)
      const own = kept(key)
      const entry = own ?? (await fromPeer(key, subjectOf(name)))
      shelf.count(own ? 'local_hits' : entry ? 'peer_hits' : 'unknown_values')
      return entry && (JSON.parse(Buffer.from(entry.answer.body).toString('utf8')) as unknown)
    },
    async put(name, value, ttlMs) {
      const [key, subject] = [keyOf(name), subjectOf(name)]
      const body = bytesOf(name, value)
      const atMs = clock.now()
      const sealed = await seal({ key, atMs, ttlMs, asker: '', answer: { status: 200, headers: [], body } }, group, identity)
      const forget = (): void => {
        shelf.forget([subject])
        cluster?.forget([subject])
      }
      if (shelf.get(key)) forget()
      let got = await cluster?.want(key)
      if (got?.is === 'entry') {
        forget() // elsewhere there is an old one
        got = await cluster!.want(key)
      }
      const isKept = shelf.put(key, { sealed, atMs, subject })
      if (got?.is === 'lease') cluster!.done(key, subject, isKept ? 'kept' : 'failed', isKept ? sealed : undefined)
    },
    invalidate(name) {
      const subject = subjectOf(name)
      shelf.forget([subject])
      cluster?.forget([subject])
    },
  }
}

function bytesOf(name: string, value: unknown): Buffer {
  const text = jsonOf(name, value)
  if (text === undefined) throw fault.value_invalid({ name, problem: 'JSON cannot say it' })
  const body = Buffer.from(text)
  if (body.length > maxValueBytes) throw fault.value_too_large({ name, sizeBytes: body.length, maxBytes: maxValueBytes })
  return body
}

function jsonOf(name: string, value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    throw fault.value_invalid({ name, problem: (error as Error).message.split('\n', 1)[0]! }, error)
  }
}
