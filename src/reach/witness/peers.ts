// The peers whose ledgers we witness: a list in the home, one id a line, that whichever process is the host reads again when it changes.
import { join } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import type { Home } from '../home.ts'

export interface WitnessedPeers {
  /** The file, for the process that serves. */
  readonly path: string
  list(): readonly string[]
  /** False: it was there already. */
  add(peerId: string): boolean
  /** False: it was not there. */
  remove(peerId: string): boolean
}

export function witnessedPeers({ witness }: Home): WitnessedPeers {
  const path = join(witness, 'peers')
  const list = (): string[] => (readText(path) ?? '').split('\n').filter((line) => line !== '')
  const write = (ids: readonly string[]): void => {
    makeFolder(witness)
    writeWhole(path, ids.map((id) => `${id}\n`).join(''))
  }
  return {
    path,
    list,
    add(peerId) {
      const ids = list()
      if (ids.includes(peerId)) return false
      write([...ids, peerId])
      return true
    },
    remove(peerId) {
      const ids = list()
      if (!ids.includes(peerId)) return false
      write(ids.filter((id) => id !== peerId))
      return true
    },
  }
}
