// Is every tool of every upstream pinned, and none held back because its definition is not the one that was accepted?
import { bad, good } from '../../base/checks/check.ts'
import type { GateCheck } from '../examination.ts'

const toolsPinned: GateCheck = {
  title: 'asking for tools in quarantine',
  needs: ['gateway'],
  async run({ live }) {
    const { tools } = (await live()).health
    if (!tools?.ok) return [bad(tools?.reason ?? 'the gate does not tell', 'look at the change, then: fairlead gate approve')]
    if (tools.unpinned === 0) return [good(`of the tools that the gate pins, ${tools.reason}`)]
    return [
      bad(
        `no tool is pinned of ${tools.unpinned} upstream${tools.unpinned === 1 ? '' : 's'}`,
        'set new_tools = "pin" in place of "trust" at each upstream',
      ),
    ]
  },
}

export default toolsPinned
