// Answers who asks on a local network for exactly this peer: with the port on which it listens there, and nothing else. Who does not know the id learns nothing.
import { type Socket, createSocket } from 'node:dgram'
import type { Clock } from '../../../kernel/clock.ts'
import type { Log } from '../../../kernel/log.ts'
import { type LanNetwork, lanNetworks } from './network.ts'
import { lanAnswer, lanGroup, lanPort, lanQuestionId } from './packet.ts'

export type LanAnswersNeeds = {
  readonly peerId: string
  /** Where we listen, as `PeerHost.addresses`. */
  readonly addresses: () => readonly string[]
  readonly clock: Clock
  readonly log: Log
}

export type LanAnswersSettings = {
  /** 5353 by custom. */
  readonly port?: number
  readonly networks?: () => readonly LanNetwork[]
}

/** The answering, until it is closed. */
export interface LanAnswers {
  close(): void
}

/** Networks come and go: so often the group is joined on those that are there. */
const joinEveryMs = 5_000
/** In any second; a search asks three times. */
const maxAnswers = 64

/** Answers until it is closed. Never fails: without a network, or with the port taken by a program that shares it with nobody, it tries again. */
export function answerOnLan({ peerId, addresses, clock, log }: LanAnswersNeeds, settings: LanAnswersSettings = {}): LanAnswers {
  const { port = lanPort, networks = lanNetworks } = settings
  let socket: Socket | undefined
  let places: readonly Place[] = []
  let isFailing = false
  let answered = 0
  let since = 0
  let cancel = (): void => {}

  const hasRoom = (): boolean => {
    if (clock.mono() - since >= 1_000) [since, answered] = [clock.mono(), 0]
    return answered++ < maxAnswers
  }
  const answer = (bytes: Buffer, from: { readonly address: string; readonly port: number }): void => {
    const id = lanQuestionId(bytes, peerId)
    if (id === undefined) return
    // nobody farther away is answered (RFC 6762, section 11)
    const place = places.find(({ network }) => network.contains(from.address))
    if (place && hasRoom()) socket?.send(lanAnswer(peerId, id, place.port), from.port, from.address, () => {}) // lost is lost: it is asked again
  }
  const join = (on: Socket): void => {
    for (const { network } of places) {
      try {
        on.addMembership(lanGroup, network.address)
      } catch {
        // it is a member already, or the network has just gone
      }
    }
  }
  const open = (): Socket => {
    const opened = createSocket({ type: 'udp4', reuseAddr: true })
    opened.on('message', answer)
    opened.on('error', (error) => {
      if (!isFailing) log.warn('peer.lan.not_answering', { problem: error.message })
      isFailing = true
      if (socket !== opened) return
      socket = undefined
      opened.close()
    })
    opened.bind(port, () => {
      isFailing = false
      join(opened)
    })
    return opened.unref()
  }
  const look = (): void => {
    places = placesOf(addresses(), networks())
    if (socket) join(socket)
    else if (places.length > 0) socket = open()
    cancel = clock.after(joinEveryMs, look)
  }
  look()
  return {
    close() {
      cancel()
      socket?.close()
      socket = undefined
    },
  }
}

type Place = { readonly network: LanNetwork; readonly port: number }

/** The networks on which we listen: a host that listens on loopback alone has none, and opens no port here. */
function placesOf(addresses: readonly string[], networks: readonly LanNetwork[]): readonly Place[] {
  const ports = new Map(
    addresses.flatMap((address) => {
      const found = /^\/ip4\/([\d.]+)\/tcp\/(\d+)(?:\/p2p\/[^/]+)?$/.exec(address)
      return found ? [[found[1]!, Number(found[2])]] : []
    }),
  )
  return networks.flatMap((network) => {
    const port = ports.get(network.address)
    return port === undefined ? [] : [{ network, port }]
  })
}
