// What a look at the whole machine tells of the peer host: where it is reached, whether its registry knows it, and who is connected.
import { join } from 'node:path'
import type { StatusLine, StatusSource } from '../base/checks/status.ts'
import { askNearby } from '../base/control/nearby.ts'
import { type Fault, asFault } from '../kernel/fault.ts'
import { type PeersShown, type RegisteredPeer, reachApi } from './api.ts'
import { ageText } from './shown.ts'

const source: StatusSource = {
  title: 'Peers',
  async look(needs) {
    const folders = needs.homes.map(({ folders: { runtime } }) => join(runtime, 'peer'))
    const daemon = { name: 'peer host', api: reachApi, folders, start: 'fairlead up' }
    const answers = await askNearby(needs, daemon, async (calls, signal) => {
      const [shown, registered] = await Promise.all([
        calls['show-peers']({}, { signal }),
        calls['list-registered']({}, { signal }).catch((error: unknown) => asFault(error)),
      ])
      return { shown, registered }
    })
    return {
      lines: answers.flatMap(({ name, line, value }) => {
        if (line) return [line]
        return [hostLine(name, value.shown), ...registryLine(value.shown, value.registered), ...sessionsLine(value.shown)]
      }),
    }
  },
}

export default source

function hostLine(name: string, { peerId, addresses, authorized }: PeersShown): StatusLine {
  const ways = [...new Set(addresses.map(({ way }) => way))]
  if (addresses.length === 0) return { name, standing: 'bad', text: `${peerId} listens nowhere`, remedy: 'fairlead reach doctor' }
  const peers = `${authorized.length} authorized peer${authorized.length === 1 ? '' : 's'}`
  return { name, standing: 'good', text: `${peerId}; ${ways.join(', ')}; ${peers}` }
}

function registryLine({ peerId, registry }: PeersShown, registered: readonly RegisteredPeer[] | Fault): readonly StatusLine[] {
  if (registry === null) return []
  const remedy = 'fairlead reach doctor'
  if (!Array.isArray(registered))
    return [{ name: 'registry', standing: 'bad', text: `${registry}: ${(registered as Fault).message}`, remedy }]
  const ours = (registered as readonly RegisteredPeer[]).find((peer) => peer.peerId === peerId)
  if (!ours) return [{ name: 'registry', standing: 'bad', text: `${registry} does not know us`, remedy }]
  const others = registered.length - 1
  const text = `${registry}, registered ${ageText(ours.ageMs)}: ${ours.reachability}; ${others} other peer${others === 1 ? '' : 's'} there`
  return [{ name: 'registry', standing: 'good', text }]
}

function sessionsLine({ sessions }: PeersShown): readonly StatusLine[] {
  if (sessions.length === 0) return []
  const connected = sessions.filter(({ isConnected }) => isConnected)
  const relayed = connected.filter(({ isRelayed }) => isRelayed).length
  const cut = sessions.length - connected.length
  const parts = [
    `${connected.length} connected`,
    ...(relayed > 0 ? [`${relayed} of them through a relay`] : []),
    ...(cut > 0 ? [`${cut} cut, and may come back`] : []),
  ]
  return [{ name: 'sessions', standing: 'good', text: parts.join(', ') }]
}
