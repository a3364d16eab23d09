// Does the gate hold back a tool whose definition is not the one that was accepted?
import { bad, good } from '../../base/checks/check.ts'
import type { GateCheck } from '../examination.ts'

const toolsPinned: GateCheck = {
  title: 'asking for tools in quarantine',
  needs: ['gateway'],
  async run({ live }) {
    const held = Object.entries((await live()).health).filter(([name, { ok }]) => /^tools(?: of |$)/.test(name) && !ok)
    if (held.length === 0) return [good('the gate tells of no tool in quarantine')]
    return held.map(([name, { reason }]) => bad(reason, 'look at the change, then: fairlead gate approve', name))
  },
}

export default toolsPinned
