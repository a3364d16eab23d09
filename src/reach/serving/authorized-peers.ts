// Who may connect: the ids given at the start, those in a file, which is read again when it changes, and those that a policy names; less those that are revoked, and with the key in the place
// of a rotated one only if the owner of the list says so. Deny by default: an unreadable file allows nobody.
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
  /** The listed ids that this one stands for: itself, or those that it took the place of. */
  listedAs(peerId: string): readonly string[]
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
  let fromFile: ReadonlySet<string> = new Set()
  let allowed: ReadonlyMap<string, readonly string[]> = new Map()
  let seen = ''
  let heard = ''
  let cancel = (): void => {}

  const listed = (): readonly string[] => [...new Set([...always, ...fromFile, ...(policy?.peers() ?? [])])]
  const speaker = (id: string): string[] => {
    const standing = statements.standing(id)
    if (standing.is === 'revoked') return standing.peerId === id || followRotations ? [] : [id]
    return standing.is === 'rotated' && followRotations ? [standing.to] : [id]
  }
  const changed = (): void => {
    try {
      heard = statements.mark()
      const found = new Map<string, string[]>()
      for (const id of listed()) for (const speaks of speaker(id)) found.set(speaks, [...(found.get(speaks) ?? []), id])
      allowed = found
    } catch (error) {
      allowed = new Map()
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
    const mark = changeMark(path)
    if (mark === seen) return
    seen = mark
    const found = idsIn(readText(path))
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
        fromFile = new Set()
        log.error('reach.authorized.unreadable', { file, error })
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
    followsRotations: followRotations,
    listed,
    listedAs: (peerId) => allowed.get(peerId) ?? [],
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
