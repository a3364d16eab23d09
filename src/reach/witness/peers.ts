// The peers whose ledgers we witness: a list in the home, one a line as in any file of authorized peers, that whichever process is the host reads again when it changes.
import { join } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import type { Home } from '../home.ts'
import { followWord } from '../serving/authorized-peers.ts'

export type WitnessedPeer = {
  readonly peerId: string
  /** Whether the key that it is rotated to is witnessed instead. */
  readonly isFollowed: boolean
}

export interface WitnessedPeers {
  /** The file, for the process that serves. */
  readonly path: string
  list(): readonly WitnessedPeer[]
  /** False: it was there already, and so. */
  add(peer: WitnessedPeer): boolean
  /** False: it was not there. */
  remove(peerId: string): boolean
}

export function witnessedPeers({ witness }: Home): WitnessedPeers {
  const path = join(witness, 'peers')
  const list = (): WitnessedPeer[] =>
    (readText(path) ?? '').split('\n').flatMap((line) => {
      const [peerId = '', word] = line.split(' ')
      return peerId === '' ? [] : [{ peerId, isFollowed: word === followWord }]
    })
  const write = (peers: readonly WitnessedPeer[]): void => {
    makeFolder(witness)
    writeWhole(path, peers.map(({ peerId, isFollowed }) => `${peerId}${isFollowed ? ` ${followWord}` : ''}\n`).join(''))
  }
  return {
    path,
    list,
    add({ peerId, isFollowed }) {
      const peers = list()
      if (peers.some((one) => one.peerId === peerId && one.isFollowed === isFollowed)) return false
      write([...peers.filter((one) => one.peerId !== peerId), { peerId, isFollowed }])
      return true
    },
    remove(peerId) {
      const peers = list()
      const others = peers.filter((one) => one.peerId !== peerId)
      if (others.length === peers.length) return false
      write(others)
      return true
    },
  }
}
