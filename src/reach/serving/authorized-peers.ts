// Who may connect: the ids given at the start and those in a file, which is read again when it changes; less those that are revoked, and with the key in the place
// of a rotated one only if the owner of the list says so. Deny by default: an unreadable file allows nobody.
import type { Clock } from '../../kernel/clock.ts'
import { readText, statOf } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from '../faults.ts'
import type { KnownStatements } from '../succession/known-statements.ts'

/** How long a change of a file may go unnoticed. */
const lookEveryMs = 250

export interface AuthorizedPeers {
  allows(peerId: string): boolean
  /** The ids that are listed, whatever became of them. */
  listed(): readonly string[]
  /** Whether a listed peer that rotated its key is let in by the new one, and by that alone. */
  readonly followsRotations: boolean
  /** `listener` is called after every change. */
  onChange(listener: () => void): void
  close(): void
}

export type AuthorizedPeersSettings = {
  readonly ids: readonly string[]
  /** One id a line; blank lines and what follows a `#` do not count. */
  readonly file?: string | undefined
  readonly followRotations?: boolean
}

export type AuthorizedPeersNeeds = {
  readonly clock: Clock
  readonly log: Log
  /** What is known of keys. */
  readonly statements: Pick<KnownStatements, 'standing' | 'mark'>
}

/** Reads the file once before it answers; fault `reach.peer_id_invalid` for an id that is none. */
export function authorizedPeers({ clock, log, statements }: AuthorizedPeersNeeds, settings: AuthorizedPeersSettings): AuthorizedPeers {
  const { ids, file, followRotations = false } = settings
  for (const id of ids) if (!isPeerId(id)) throw fault.peer_id_invalid({ text: id, where: '--authorized-peer' })
  const always = new Set(ids)
  const listeners = new Set<() => void>()
  let fromFile: ReadonlySet<string> = new Set()
  let allowed: ReadonlySet<string> = new Set()
  let seen = ''
  let heard = ''
  const unread = 'unread'
  let cancel = (): void => {}

  const speaker = (id: string): string[] => {
    const standing = statements.standing(id)
    if (standing.is === 'revoked') return standing.peerId === id || followRotations ? [] : [id]
    return standing.is === 'rotated' && followRotations ? [standing.to] : [id]
  }
  const changed = (): void => {
    try {
      heard = statements.mark()
      allowed = new Set([...always, ...fromFile].flatMap(speaker))
    } catch (error) {
      allowed = new Set()
      log.error('reach.authorized.unreadable', { error })
    }
    for (const listener of listeners) listener()
  }
  const hasNews = (): boolean => {
    try {
      return statements.mark() !== heard
    } catch {
      return true
    }
  }
  const read = (path: string, isStart: boolean): void => {
    const stat = statOf(path)
    const mark = stat ? [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(' ') : 'missing'
    if (mark === seen) return
    const found = idsIn(stat ? readText(path) : undefined)
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
        fromFile = new Set()
        changed()
      }
      if (hasNews()) changed()
      watch()
    })
  }
  if (file !== undefined) read(file, true)
  changed()
  watch()
  return {
    followsRotations: followRotations,
    listed: () => [...always, ...fromFile],
    allows: (peerId) => allowed.has(peerId),
    onChange: (listener) => void listeners.add(listener),
    close: () => cancel(),
  }
}

function idsIn(text: string | undefined): { ids: Set<string>; wrong: string[] } {
  const ids = new Set<string>()
  const wrong: string[] = []
  for (const line of (text ?? '').split('\n')) {
    const id = line.replace(/#.*/, '').trim()
    if (id === '') continue
    if (isPeerId(id)) ids.add(id)
    else wrong.push(id)
  }
  return { ids, wrong }
}
