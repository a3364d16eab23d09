// Who may call what: the table of all tools, made from the tools themselves, so that it cannot say anything else than they do.
import { type Role, type SandboxMode, type Tool, isReal, sandboxModes } from '../base/mcp/tool/tool.ts'
import { isPrivileged } from './helper/privileged.ts'
import type { MachineNeeds } from './needs.ts'

type InSandbox = 'real' | 'simulated' | 'refused'

export type ToolRow = {
  readonly tool: string
  readonly title: string
  readonly description: string
  /** The least role that may call it. */
  readonly role: Role
  readonly effect: Tool<MachineNeeds>['effect']
  /** Whose process does it. */
  readonly by: 'server' | 'helper'
  /** The helper asks its allow-lists about each call. */
  readonly isListed: boolean
  /** What becomes of a call in each sandbox mode. */
  readonly sandbox: Readonly<Record<SandboxMode, InSandbox>>
}

/** By name. */
export function permissionTable(tools: readonly Tool<MachineNeeds>[]): ToolRow[] {
  return tools
    .map((tool): ToolRow => {
      const { name, title, description, role, effect } = tool
      const inMode = (mode: SandboxMode): InSandbox => (isReal(mode, effect) ? 'real' : tool.simulate ? 'simulated' : 'refused')
      const sandbox = Object.fromEntries(sandboxModes.map((mode) => [mode, inMode(mode)])) as ToolRow['sandbox']
      const isHelpers = isPrivileged(tool)
      const isListed = isHelpers && tool.privileged.subjects !== undefined
      return { tool: name, title, description, role, effect, by: isHelpers ? 'helper' : 'server', isListed, sandbox }
    })
    .sort((a, b) => (a.tool < b.tool ? -1 : 1))
}

/** The page of the reference. */
export function permissionPage(rows: readonly ToolRow[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  const line = ({ tool, role, effect, by, isListed, sandbox }: ToolRow): string =>
    `| [${tool}](#${tool}) | ${role} | ${effect} | ${by}${isListed ? ', by list' : ''} | ${sandbox.partial} | ${sandbox.full} |`
  return [
    '# The machine tools',
    '',
    'Made from the tools by scripts/generate.ts: do not edit (npm run generate). `fairlead operate tools` prints the table.',
    '',
    'A *viewer* may call what says viewer; an *operator* that too, and what says operator; an *admin* everything. *observe* looks at the operating system, *sense* reads a device, *change* makes something',
    'different. What is *by list* touches only what `helper.allow` names: an empty list is nothing. The last columns tell what becomes of a call in the sandbox modes `partial` and `full`.',
    '',
    '| tool | role | effect | done by | partial | full |',
    '|---|---|---|---|---|---|',
    ...rows.map(line),
    ...rows.flatMap(({ tool, title, description }) => ['', `## ${tool}`, '', `*${cell(title)}.* ${cell(description)}`]),
    '',
  ].join('\n')
}
