// The crown's mission briefs: each is acknowledged with what can be used behind the gate now, and what is down.
import type { Connector } from '../connector-kind.ts'
import { commonCapabilities } from '../connector-kind.ts'
import { digestOfBrief } from '../connector/mission-brief.ts'

const crownHandshake: Connector = {
  id: 'crown_handshake',
  channels: ['handshake', 'heartbeat', 'mission-brief'],
  capabilities: [...commonCapabilities, 'mission-brief'],
  chakra: 'crown',
  channel: 'mission-brief',
  async handle({ upstreams }, { body }) {
    const ack = `sha256:${digestOfBrief(await body())}`
    const all = upstreams()
    return {
      ack,
      capabilities: all.filter(({ failing }) => !failing).map(({ name }) => name),
      downtime: Object.fromEntries(
        all.flatMap(({ name, failing }) => (failing ? [[name, { reason: failing.reason, retry_in_ms: failing.retryInMs }]] : [])),
      ),
    }
  },
}

export default crownHandshake
