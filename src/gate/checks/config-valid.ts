// Is the environment set so that connectors go through the gate, and can the gate's configuration be read?
import { bad, good } from '../../base/checks/check.ts'
import type { GateCheck } from '../examination.ts'

const configValid: GateCheck = {
  title: 'reading the toggles and the configuration',
  async run({ problems }) {
    if (problems.length === 0) return [good('ABZU_USE_MCP is 1, and all that is set can be understood')]
    return problems.map(({ evidence, remedy }) => bad(evidence, remedy))
  },
}

export default configValid
