// Serves the machine's tools to AI clients, over HTTP until it is stopped or over stdio for one client.
import { dirname, join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { type SocketNeeds, openControl } from '../../base/control/server.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import { both } from '../../kernel/log.ts'
import { openAccess } from '../access/configured.ts'
import schema from '../config.ts'
import { fault } from '../faults.ts'
import { openAppLog } from '../logs/app-log.ts'
import { socketLink } from '../helper/socket-link.ts'
import { createHost } from '../host.ts'
import { machineOffers } from '../offers.ts'
import { placesOf } from '../places.ts'
import { serveMachineOnStdio, startMachineServer } from '../server.ts'

export default command({
  summary: 'serve the machine tools to AI clients (MCP)',
  description:
    'Answers on 127.0.0.1 only, at /mcp and /health, unless the configuration says otherwise, and is offered to a gate of this machine ([gate.offers]). With --stdio it serves the one client that started it, ' +
    'and ends with its input.',
  flags: {
    port: { summary: 'the port to listen on, in place of the configured one; 0 takes any free one', value: 'PORT', type: 'integer' },
    stdio: { summary: 'speak MCP on standard input and output' },
    config: { summary: 'the configuration file; config.yml in the configuration folder by default', value: 'FILE' },
  },
  examples: [
    ['fairlead operate server', 'serve at http://127.0.0.1:8000/mcp until stopped'],
    ['fairlead operate server --stdio', 'serve one client on standard input and output'],
  ],
  async run(context, { flags }) {
    const { terminal, log: told, clock, folders, env, stdin, stdout, signal, version } = context
    const path = flags.config ?? join(folders.config, 'config.yml')
    const { value } = await loadConfig({ schema, path, isOptional: flags.config === undefined })
    const config = flags.port === undefined ? value : { ...value, server: { ...value.server, port: flags.port } }
    const places = placesOf(context, config)
    const { tools } = await import('../../extensions.ts')
    const own = tools.filter(({ owner }) => owner === 'operate')
    await using stack = new AsyncDisposableStack()
    const appLog = flags.stdio ? undefined : stack.use(openAppLog(clock, config.logging, places.logs))
    const log = appLog ? both(told, appLog.log) : told
    const helper = stack.use(socketLink({ clock, log }, config.helper.socket ?? join(folders.runtime, 'ops-agent.sock')))
    const needs = { clock, log, host: createHost(), helper, version, tools: own, appLog: appLog?.file }
    if (flags.stdio) return await serveMachineOnStdio(needs, { config, places }, stdin, stdout, signal)
    const access = await openAccess({ clock, log, env, folder: dirname(path) }, config)
    if (access) stack.use(access)
    const server = stack.adopt(
      await startMachineServer(needs, { config, places, admit: access?.admit, isHelperExpected: context.alias !== undefined }),
      (one) => one.close(),
    )
    const offers = stack.use(await machineOffers(needs, server, version))
    stack.use(await openOwnApi({ clock, log, offers }, config.server.runtime ?? join(folders.runtime, 'machine')))
    terminal.result({ url: server.url, health: server.healthUrl }, () => `machine tools at ${server.url}, health at ${server.healthUrl}`)
    await stopAsked({ signal })
  },
})

/** Nothing is asked of it there but what it offers. */
async function openOwnApi(needs: Pick<SocketNeeds<{}>, 'clock' | 'log' | 'offers'>, folder: string): Promise<AsyncDisposable> {
  try {
    return await openControl({ ...needs, api: {}, handlers: {} }, { daemon: 'machine', folder })
  } catch (error) {
    throw asFault(error).code === 'socket.busy' ? fault.runtime_busy({ folder }, error) : error
  }
}
