// Serves the machine's tools to AI clients, over HTTP until it is stopped or over stdio for one client.
import { join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { resolveCredential } from '../../base/config/credential.ts'
import { type SocketNeeds, openControl } from '../../base/control/server.ts'
import { keepAlive, tellReady } from '../../base/supervise/readiness.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { asFault } from '../../kernel/fault.ts'
import schema from '../config.ts'
import { fault } from '../faults.ts'
import { socketLink } from '../helper/socket-link.ts'
import { createHost } from '../host.ts'
import { machineOffers } from '../offers.ts'
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
  async run({ terminal, log, clock, folders, env, stdin, stdout, signal, version }, { flags }) {
    const path = flags.config ?? join(folders.config, 'config.yml')
    const { value } = await loadConfig({ schema, path, isOptional: flags.config === undefined, isYaml11Too: true })
    const config = flags.port === undefined ? value : { ...value, server: { ...value.server, port: flags.port } }
    const { tools } = await import('../../extensions.ts')
    const own = tools.filter(({ owner }) => owner === 'operate')
    await using stack = new AsyncDisposableStack()
    const helper = stack.use(socketLink({ clock, log }, config.helper.socket ?? join(folders.runtime, 'ops-agent.sock')))
    const needs = { clock, log, host: createHost(), helper, version, tools: own }
    if (flags.stdio) return await serveMachineOnStdio(needs, { config }, stdin, stdout, signal)
    const token = config.server.token && (await resolveCredential(config.server.token, { env, folder: folders.config }))
    const server = stack.adopt(await startMachineServer(needs, { config, token }), (one) => one.close())
    const offers = stack.use(await machineOffers(needs, server, version))
    stack.use(await openOwnApi({ clock, log, offers }, config.server.runtime ?? join(folders.runtime, 'machine')))
    stack.use(keepAlive({ clock, log }, env))
    await tellReady(env)
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
