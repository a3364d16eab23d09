// Lists the machine tools: who may call each, who does it, and what becomes of it in a sandbox.
import { command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { permissionTable } from '../permissions.ts'

export default command({
  summary: 'list the machine tools: who may call each, who does it, what becomes of it in a sandbox',
  examples: [
    ['fairlead operate tools', 'show the table of permissions'],
    ['fairlead operate tools --json', 'the same for a program, with the descriptions'],
  ],
  async run({ terminal }) {
    const { tools } = await import('../../extensions.ts')
    const loaded = await Promise.all(tools.filter(({ owner }) => owner === 'operate').map(({ load }) => load()))
    const rows = permissionTable(loaded.map(({ default: tool }) => tool))
    terminal.result({ tools: rows }, () =>
      tableText([
        ['TOOL', 'ROLE', 'EFFECT', 'DONE BY', 'PARTIAL', 'FULL'],
        ...rows.map(({ tool, role, effect, by, isListed, sandbox }) => [
          tool,
          role,
          effect,
          isListed ? `${by}, by list` : by,
          sandbox.partial,
          sandbox.full,
        ]),
      ]),
    )
  },
})
