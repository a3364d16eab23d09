// Who may connect: the ids given at the start and those in a file, which is read again when it changes. Deny by default: an unreadable file allows nobody.
import type { Clock } from '../kernel/clock.ts'
import { readText, statOf } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import { isPeerId } from '../base/identity/identity.ts'
import { fault } from './faults.ts'

/** How long a change of the file may go unnoticed. */
const lookEveryMs = 250

export interface AuthorizedPeers {
  allows(peerId: string): boolean
  /** `listener` is called after every change of the file. */
  onChange(listener: () => void): void
  close(): void
}

export type AuthorizedPeersSettings = {
  readonly ids: readonly string[]
  /** One id a line; blank lines and what follows a `#` do not count. */
  readonly file?: string | undefined
}

/** Reads the file once before it answers; fault `reach.peer_id_invalid` for an id that is none. */
export function authorizedPeers({ clock, log }: { clock: Clock; log: Log }, { ids, file }: AuthorizedPeersSettings): AuthorizedPeers {
  for (const id of ids) if (!isPeerId(id)) throw fault.peer_id_invalid({ text: id, where: '--authorized-peer' })
  const always = new Set(ids)
  const listeners = new Set<() => void>()
  let fromFile: ReadonlySet<string> = new Set()
  let seen = ''
  let cancel = (): void => {}

  const read = (path: string, isStart: boolean): void => {
    const stat = statOf(path)
    const mark = stat ? [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(' ') : 'missing'
    if (mark === seen) return
    seen = mark
    const found = idsIn(stat ? readText(path) : undefined)
    if (isStart && found.wrong[0] !== undefined) throw fault.peer_id_invalid({ text: found.wrong[0], where: path })
    for (const text of found.wrong) log.warn('reach.authorized.wrong', { file: path, text })
    fromFile = found.ids
    if (!isStart) log.info('reach.authorized.changed', { file: path, peers: fromFile.size })
    for (const listener of listeners) listener()
  }
  const watch = (path: string): void => {
    cancel = clock.after(lookEveryMs, () => {
      try {
        read(path, false)
      } catch (error) {
        fromFile = new Set()
        log.error('reach.authorized.unreadable', { file: path, error })
        for (const listener of listeners) listener()
      }
      watch(path)
    })
  }
  if (file !== undefined) {
    read(file, true)
    watch(file)
  }
  return {
    allows: (peerId) => always.has(peerId) || fromFile.has(peerId),
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
