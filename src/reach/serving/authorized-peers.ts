// Who may connect: the ids given at the start, those in a file, which is read again when it changes, and those that a policy names; less those that are revoked,
// and with the key in the place of a rotated one only if the owner of the list says so, of all or of this one. Deny by default: an unreadable file allows nobody.
import type { Clock } from '../../kernel/clock.ts'
import { changeMark, readText } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from '../faults.ts'
import type { KnownStatements } from '../succession/known-statements.ts'
import type { PolicyFile } from './policy-file.ts'

/** How long a change of a file may go unnoticed. */
const lookEveryMs = 250

export interface AuthorizedPeers {
  allows(peerId: string): boolean
  /** By which ids on the list it is let in: its own first, then those from which it was rotated. Empty: it is not let in. */
  listedAs(peerId: string): readonly string[]
  /** The ids that are listed, whatever became of them. */
  listed(): readonly string[]
  /** Those of them that are let in by the new key when theirs was rotated, and by that alone. */
  followed(): readonly string[]
  /** `listener` is called after every change. */
  onChange(listener: () => void): void
  close(): void
}

export type AuthorizedPeersSettings = {
  readonly ids: readonly string[]
  /** One id a line, and behind it `follow-rotations` if that shall hold for this one; blank lines and what follows a `#` do not count. */
  readonly file?: string | undefined
  /** Of all. */
  readonly followRotations?: boolean
}

export type AuthorizedPeersNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** What is known of keys. */
  readonly statements: Pick<KnownStatements, 'standing' | 'mark'>
  /** Names more of them. */
  readonly policy?: Pick<PolicyFile, 'peers' | 'onChange'> | undefined
}

/** Reads the file once before it answers; fault `reach.peer_id_invalid` for an id that is none. */
export function authorizedPeers(
  { clock, log, statements, policy }: AuthorizedPeersNeeds,
  settings: AuthorizedPeersSettings,
): AuthorizedPeers {
  const { ids, file, followRotations = false } = settings
  for (const id of ids) if (!isPeerId(id)) throw fault.peer_id_invalid({ text: id, where: '--authorized-peer' })
  const always = new Set(ids)
  const listeners = new Set<() => void>()
  let fromFile: Listed = new Map()
  let allowed: ReadonlyMap<string, readonly string[]> = new Map()
  let seen = ''
  let heard = ''
  const unread = 'unread'
  let cancel = (): void => {}

  const listed = (): string[] => [...new Set([...always, ...fromFile.keys(), ...(policy?.peers() ?? [])])]
  const isFollowed = (id: string): boolean => followRotations || fromFile.get(id) === true
  /** Who speaks for a listed id. */
  const speaker = (id: string): string | undefined => {
    const standing = statements.standing(id)
    if (standing.is === 'revoked') return standing.peerId === id || isFollowed(id) ? undefined : id
    return standing.is === 'rotated' && isFollowed(id) ? standing.to : id
  }
  const mark = (): string => {
    try {
      return statements.mark()
    } catch {
      return 'unreadable'
    }
  }
  const changed = (): void => {
    heard = mark()
    const found = new Map<string, readonly string[]>()
    try {
      for (const id of listed()) {
        const by = speaker(id)
        if (by === undefined) continue
        const others = found.get(by) ?? []
        found.set(by, by === id ? [id, ...others] : [...others, id])
      }
    } catch (error) {
      found.clear()
      log.error('reach.authorized.unreadable', { error })
    }
    allowed = found
    for (const listener of listeners) listener()
  }
  const hasNews = (): boolean => mark() !== heard
  /** What another process, or this one, has just noted counts at once. */
  const now = (): typeof allowed => {
    if (hasNews()) changed()
    return allowed
  }
  const read = (path: string, isStart: boolean): void => {
    const mark = changeMark(path)
    if (mark === seen) return
    const found = idsIn(readText(path))
    seen = mark
    if (isStart && found.wrong[0] !== undefined) throw fault.peer_id_invalid({ text: found.wrong[0], where: path })
    for (const text of found.wrong) log.warn('reach.authorized.wrong', { file: path, text })
    fromFile = found.ids
    if (!isStart) log.info('reach.authorized.changed', { file: path, peers: fromFile.size })
    changed()
  }
  const watch = (): void => {
    cancel = clock.after(lookEveryMs, () => {
      try {
        if (file !== undefined) read(file, false)
      } catch (error) {
        if (seen !== unread) log.error('reach.authorized.unreadable', { file, error })
        seen = unread // looked at again, though it may be the same
        fromFile = new Map()
        changed()
      }
      if (hasNews()) changed()
      watch()
    })
  }
  policy?.onChange(changed)
  if (file !== undefined) read(file, true)
  changed()
  watch()
  return {
    listed,
    followed: () => listed().filter(isFollowed),
    allows: (peerId) => now().has(peerId),
    listedAs: (peerId) => now().get(peerId) ?? [],
    onChange: (listener) => void listeners.add(listener),
    close: () => cancel(),
  }
}

/** The ids, each with whether its rotations are followed. */
type Listed = ReadonlyMap<string, boolean>

/** The word behind an id. */
export const followWord = 'follow-rotations'

function idsIn(text: string | undefined): { ids: Listed; wrong: string[] } {
  const ids = new Map<string, boolean>()
  const wrong: string[] = []
  for (const line of (text ?? '').split('\n')) {
    const said = line.replace(/#.*/, '').trim()
    if (said === '') continue
    const [id = '', ...words] = said.split(/\s+/)
    if (isPeerId(id) && words.every((word) => word === followWord)) ids.set(id, words.length > 0)
    else wrong.push(said)
  }
  return { ids, wrong }
}
