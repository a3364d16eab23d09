// Claude Code: the person's servers, or those of a project, which each person approves once.
import type { ClientKind } from '../client/kind.ts'

const claudeCode: ClientKind = {
  title: 'Claude Code',
  root: 'mcpServers',
  own: ({ home }) => `${home}/.claude.json`,
  project: '.mcp.json',
  entry: ({ command, args }) => ({ type: 'stdio', command, args }),
  afterwards: 'the next session of Claude Code has it (/mcp); servers of a project must be approved there first',
}

export default claudeCode
