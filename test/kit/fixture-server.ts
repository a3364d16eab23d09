// The MCP server of our tests, as a process of its own: `http [--port N]` prints `listening URL`; `stdio` serves its own streams. Both speak both eras, or with
// `--era legacy|modern` only one, as most servers do.
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import { parseArgs } from 'node:util'
import { listenHttp } from './fixture/http.ts'
import { beginState, buildServer } from './fixture/server.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    'until-eof': { type: 'boolean', default: false },
    era: { type: 'string', default: 'both' },
  },
})
const state = beginState()
const era = values.era === 'legacy' || values.era === 'modern' ? values.era : 'both'

if (positionals[0] === 'http') {
  const { url } = await listenHttp(state, Number(values.port), era)
  process.stdout.write(`listening ${url}\n`)
  // Lets a test hold the server's life by a pipe, so that none outlives it.
  if (values['until-eof']) process.stdin.resume().once('end', () => process.exit(0))
} else if (positionals[0] === 'stdio') {
  if (era === 'legacy') await buildServer(state, { era, transport: 'stdio' }).connect(new StdioServerTransport())
  else serveStdio((about) => buildServer(state, { era: about.era, transport: 'stdio' }), { legacy: era === 'modern' ? 'reject' : 'serve' })
  process.stdin.once('end', () => process.exit(0))
} else {
  process.stderr.write('usage: fixture-server.ts (http [--port N] [--until-eof] | stdio) [--era legacy|modern]\n')
  process.exit(2)
}
