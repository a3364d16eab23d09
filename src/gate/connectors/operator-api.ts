// The operators' commands: each becomes one call of a tool behind the gate, in the connector's own name, and its answer is the tool's.
import type { Connector } from '../connector-kind.ts'
import { commonCapabilities } from '../connector-kind.ts'
import { commandIn } from '../connector/command.ts'

const operatorApi: Connector = {
  id: 'operator_api',
  channels: ['handshake', 'heartbeat', 'command'],
  capabilities: [...commonCapabilities, 'command'],
  chakra: 'operator',
  channel: 'command',
  async handle({ call }, { body, abort }) {
    return call(commandIn(await body()), abort)
  },
}

export default operatorApi
