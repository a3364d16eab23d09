// Claude Desktop: one file for the person. It is started without a shell's PATH.
import { type ClientKind, applicationFiles } from '../client/kind.ts'

const claudeDesktop: ClientKind = {
  title: 'Claude Desktop',
  root: 'mcpServers',
  own(place) {
    const files = applicationFiles(place)
    return files && `${files}/Claude/claude_desktop_config.json`
  },
  entry: ({ command, args }) => ({ command, args }),
  afterwards: 'quit Claude Desktop and start it again',
}

export default claudeDesktop
