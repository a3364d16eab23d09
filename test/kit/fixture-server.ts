// The MCP server of our tests, as a process of its own: `http [--port N]` prints `listening URL`; `stdio` serves its own streams. Both speak both eras.
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { parseArgs } from 'node:util'
import { listenHttp } from './fixture/http.ts'
import { beginState, buildServer } from './fixture/server.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { port: { type: 'string', default: '0' }, 'until-eof': { type: 'boolean', default: false } },
})
const state = beginState()

if (positionals[0] === 'http') {
  const { url } = await listenHttp(state, Number(values.port))
  process.stdout.write(`listening ${url}\n`)
  // Lets a test hold the server's life by a pipe, so that none outlives it.
  if (values['until-eof']) process.stdin.resume().once('end', () => process.exit(0))
} else if (positionals[0] === 'stdio') {
  serveStdio(({ era }) => buildServer(state, { era, transport: 'stdio' }))
  process.stdin.once('end', () => process.exit(0))
} else {
  process.stderr.write('usage: fixture-server.ts http [--port N] [--until-eof] | stdio\n')
  process.exit(2)
}
