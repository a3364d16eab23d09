// Those who came to a host: told things, and cut off when they do not read.
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Near } from './cluster.ts'
import { type Message, encode } from './messages.ts'

export type Connected = {
  readonly peer: string
  readonly since: number
  readonly stream: Duplex
  /** The IP address that it came from. */
  readonly ip: string
  /** Where others may come to it. */
  port?: number
  /** Its leases, each with what was forgotten before it. */
  readonly granted: Map<string, number>
}

export interface Members {
  /** False: there are too many. */
  add(member: Connected): boolean
  remove(member: Connected): void
  tell(member: Connected, message: Message, bytes?: Uint8Array): void
  /** All but one, if there is one; how many they are. */
  tellAll(but: Connected | undefined, message: Message, bytes?: Uint8Array): number
  all(): readonly Near[]
  /** Where those that listen are, in the order in which they came. */
  addresses(): readonly string[]
  sendAway(): void
}

const maxMembers = 1_024
/** Who does not read is cut off. */
const maxUnreadBytes = 32 << 20

export function createMembers(): Members {
  const members = new Set<Connected>()
  const tell = ({ stream }: Connected, message: Message, bytes?: Uint8Array): void => {
    if (stream.destroyed) return
    stream.write(encode(message, bytes))
    if (stream.writableLength > maxUnreadBytes) stream.destroy(new Error('it does not read'))
  }
  return {
    tell,
    add: (member) => members.size < maxMembers && members.add(member) === members,
    remove: (member) => void members.delete(member),
    tellAll(but, message, bytes) {
      const told = [...members].filter((member) => member !== but)
      for (const member of told) tell(member, message, bytes)
      return told.length
    },
    all: () => [...members].map(({ peer, since }) => ({ peer, since })),
    addresses: () =>
      [...members].flatMap(({ ip, port, peer }) =>
        isIP(ip) && port !== undefined ? [`/ip${isIP(ip)}/${ip}/tcp/${port}/p2p/${peer}`] : [],
      ),
    sendAway() {
      for (const { stream } of members) stream.destroy()
      members.clear()
    },
  }
}
