// VS Code: the person's servers, or those of a workspace, in a file of their own; it may hold comments.
import { type ClientKind, applicationFiles } from '../client/kind.ts'

const vscode: ClientKind = {
  title: 'VS Code',
  root: 'servers',
  own(place) {
    const files = applicationFiles(place)
    return files && `${files}/Code/User/mcp.json`
  },
  project: '.vscode/mcp.json',
  entry: ({ command, args }) => ({ type: 'stdio', command, args }),
  afterwards: 'start it from the command palette: MCP: List Servers',
}

export default vscode
