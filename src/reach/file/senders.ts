// Whose files are taken, and how large they may be: a list that its owner writes with `reach accept-files`. Nobody is on it by himself.
import { dirname } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { fault } from './faults.ts'

const maxSenders = 1_000

export type FileSender = {
  /** The largest file that is taken. */
  readonly maxBytes: number
}

export interface FileSenders {
  /** Undefined for those whose files are not taken. Fault `reach.senders_damaged`. */
  of(peerId: string): FileSender | undefined
  all(): ReadonlyMap<string, FileSender>
  put(peerId: string, sender: FileSender): void
  /** Whether it was there. */
  remove(peerId: string): boolean
}

/** The list at `path`, read again each time: whoever is taken off it sends nothing more. */
export function fileSenders(path: string): FileSenders {
  const write = (senders: ReadonlyMap<string, FileSender>): void => {
    if (senders.size > maxSenders) throw fault.too_many_senders({ limit: maxSenders })
    makeFolder(dirname(path))
    writeWhole(path, `${JSON.stringify(Object.fromEntries(senders), undefined, 2)}\n`)
  }
  const all = (): Map<string, FileSender> => {
    try {
      const entries = Object.entries(JSON.parse(readText(path) ?? '{}') as Record<string, FileSender>)
      if (entries.every(([peerId, { maxBytes }]) => isPeerId(peerId) && Number.isSafeInteger(maxBytes) && maxBytes >= 0))
        return new Map(entries)
    } catch (error) {
      throw fault.senders_damaged({ path }, error)
    }
    throw fault.senders_damaged({ path })
  }
  return {
    of: (peerId) => all().get(peerId),
    all,
    put: (peerId, sender) => write(all().set(peerId, sender)),
    remove(peerId) {
      const senders = all()
      if (!senders.delete(peerId)) return false
      write(senders)
      return true
    },
  }
}
