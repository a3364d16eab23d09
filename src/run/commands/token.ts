// The tokens of a node: made, listed, ended.
import { type Context, command } from '../../base/terminal/command.ts'
import { tableText } from '../../base/terminal/table.ts'
import { fault } from '../cli/faults.ts'
import { type KnownNode, openNodes } from '../cli/nodes.ts'
import { ageText } from '../cli/shown.ts'
import { spanMs } from '../cli/spans.ts'
import { type Role, role } from '../token/api.ts'

export default command({
  summary: 'make, list or revoke tokens of a node',
  description:
    'The first one is made on the node itself, through its socket (a node with the address unix:PATH); later ones by whoever has the role admin. A token is printed once: hand it over, and keep it nowhere.',
  args: {
    action: { summary: 'new, list or revoke', choices: ['new', 'list', 'revoke'] },
    name: { summary: 'of the token: who or what it is for', optional: true },
  },
  flags: {
    node: { summary: 'the node; needed when there are several', value: 'NAME' },
    role: { summary: 'of new: viewer, operator or admin', value: 'ROLE', default: 'viewer' },
    service: { summary: 'of new: only for these services; * stands for any characters', value: 'SERVICE', repeat: true },
    for: { summary: 'of new: how long it holds', value: 'TIME', default: '90d' },
  },
  examples: [
    ['fairlead run token new ann --role operator', 'for all services of the node'],
    ['fairlead run token new deployer --role operator --service "web-*" --for 30d', 'for some, for a month'],
    ['fairlead run token revoke ann', 'ends it at once, and what it follows'],
  ],
  async run(context, { args: { action, name }, flags }) {
    const node = (await openNodes(context)).one(flags.node)
    if (action === 'list') return list(context, node)
    if (name === undefined) throw fault.missing_word({ command: `token ${action}`, word: 'a name' })
    const { terminal, signal } = context
    const { calls } = node.client()
    if (action === 'revoke') {
      await calls['revoke-token']({ name }, { signal })
      return terminal.result({ node: node.name, name }, () => `${name} has no token at ${node.name} any more`)
    }
    const services = flags.service.length === 0 ? ['*'] : [...flags.service]
    const made = await calls['new-token']({ name, role: roleOf(flags.role), services, forMs: spanMs(flags.for) }, { signal })
    terminal.note(
      `for ${name} at ${node.name}: ${made.role} of ${made.services.join(', ')}, until ${new Date(made.expiresAt).toISOString()}; it is not shown again (there: mcp login)`,
    )
    terminal.result({ node: node.name, ...made }, () => made.token)
  },
})

function roleOf(text: string): Role {
  const found = role.safeParse(text)
  if (!found.success) throw fault.no_role({ role: text, known: role.options })
  return found.data
}

async function list({ terminal, clock, signal }: Context, node: KnownNode): Promise<void> {
  const tokens = await node.client().calls['list-tokens']({}, { signal })
  terminal.result({ node: node.name, tokens }, () => {
    if (tokens.length === 0) return `${node.name} has made no tokens`
    const now = clock.now()
    const rows = tokens.map((one) => [
      one.name,
      one.role,
      one.services.join(' '),
      ageText(now, one.createdAt),
      one.expiresAt <= now ? 'expired' : `in ${ageText(one.expiresAt, now)}`,
    ])
    return tableText([['NAME', 'ROLE', 'SERVICES', 'AGE', 'ENDS'], ...rows])
  })
}
