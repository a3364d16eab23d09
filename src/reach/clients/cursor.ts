// Cursor: the person's servers, or those of a project.
import type { ClientKind } from '../client/kind.ts'

const cursor: ClientKind = {
  title: 'Cursor',
  root: 'mcpServers',
  own: ({ home }) => `${home}/.cursor/mcp.json`,
  project: '.cursor/mcp.json',
  entry: ({ command, args }) => ({ command, args }),
  afterwards: 'switch it on in the MCP settings of Cursor',
}

export default cursor
