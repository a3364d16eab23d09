// Addresses at which peers were reached, so that the next connection needs no registry. A cache: a damaged file is the same as none.
import { dirname } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'

const maxPeers = 256
const maxAddresses = 8

export interface KnownAddresses {
  of(peerId: string): readonly string[]
  /** Puts these addresses first among the peer's; nothing is written when nothing changes. Never fails: where it cannot be written, the next connection asks again. */
  remember(peerId: string, addresses: readonly string[]): void
  count(): number
  /** Every peer with its addresses, the latest first. */
  all(): readonly { readonly peerId: string; readonly addresses: readonly string[] }[]
}

export function knownAddresses(path: string): KnownAddresses {
  const read = (): Record<string, string[]> => {
    try {
      const all = JSON.parse(readText(path) ?? '{}') as Record<string, unknown>
      const entries = Object.entries(all).filter(([, list]) => Array.isArray(list) && list.every((address) => typeof address === 'string'))
      return Object.fromEntries(entries) as Record<string, string[]>
    } catch {
      return {}
    }
  }
  return {
    of: (peerId) => read()[peerId] ?? [],
    count: () => Object.keys(read()).length,
    all: () =>
      Object.entries(read())
        .map(([peerId, addresses]) => ({ peerId, addresses }))
        .toReversed(),
    remember(peerId, addresses) {
      const all = read()
      const before = all[peerId] ?? []
      const after = [...new Set([...addresses, ...before])].slice(0, maxAddresses)
      if (after.length === before.length && after.every((address, i) => address === before[i])) return
      delete all[peerId]
      const entries = [...Object.entries(all), [peerId, after] as const].slice(-maxPeers)
      try {
        makeFolder(dirname(path))
        writeWhole(path, `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`)
      } catch {
        // a full disk, or a folder that is not ours to write, is no reason not to talk to the peer
      }
    },
  }
}
