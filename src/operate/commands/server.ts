// Serves the machine's tools to AI clients, over HTTP until it is stopped or over stdio for one client.
import { dirname, join } from 'node:path'
import { loadConfig } from '../../base/config/config.ts'
import { keepAlive, tellReady } from '../../base/supervise/readiness.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { both } from '../../kernel/log.ts'
import { openAccess } from '../access/configured.ts'
import schema, { type OperateConfig } from '../config.ts'
import { openMachineControl } from '../control.ts'
import { appLogName, openOwnLog } from '../logs/app-log.ts'
import { socketLink } from '../helper/socket-link.ts'
import { createHost } from '../host.ts'
import { machineOffers } from '../offers.ts'
import { placesOf } from '../places.ts'
import { reloads } from '../reload.ts'
import { serveMachineOnStdio, startMachineServer } from '../server.ts'
import { readTrusted } from '../trusted-config.ts'

export default command({
  summary: 'serve the machine tools to AI clients (MCP)',
  description:
    'Answers on 127.0.0.1 only, at /mcp and /health, unless the configuration says otherwise, and is offered to a gate of this machine ([gate.offers]). With --stdio it serves the one client that started it, ' +
    'and ends with its input. On SIGHUP it reads again who may come in (access, server.token, server.role), from which values on it warns (health), and whether anything is real (testing.sandbox_mode); ' +
    'a bad file changes nothing.',
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
    const read = async (): Promise<OperateConfig> => {
      const value = await readConfig(path, { isOptional: flags.config === undefined, isTrusted: context.alias !== undefined })
      return flags.port === undefined ? value : { ...value, server: { ...value.server, port: flags.port } }
    }
    const config = await read()
    const places = placesOf(context, config)
    const { tools } = await import('../../extensions.ts')
    const own = tools.filter(({ owner }) => owner === 'operate')
    await using stack = new AsyncDisposableStack()
    const appLog = flags.stdio ? undefined : stack.use(openOwnLog(clock, config.logging, places.logs, appLogName))
    const log = appLog ? both(told, appLog.log) : told
    const helper = stack.use(socketLink({ clock, log }, config.helper.socket ?? join(folders.runtime, 'ops-agent.sock')))
    const needs = { clock, log, host: createHost(), helper, version, tools: own, appLog: appLog?.file }
    if (flags.stdio) return await serveMachineOnStdio(needs, { config, places }, stdin, stdout, signal)
    const accessOf = (now: OperateConfig) => openAccess({ clock, log, env, folder: dirname(path) }, now)
    let access = await accessOf(config)
    stack.defer(() => access?.[Symbol.dispose]())
    const server = stack.adopt(
      await startMachineServer(needs, { config, places, admit: access?.admit, isHelperExpected: context.alias !== undefined }),
      (one) => one.close(),
    )
    const offers = stack.use(await machineOffers(needs, server, version))
    stack.use(await openMachineControl({ clock, log, server, offers }, config.server.runtime ?? join(folders.runtime, 'machine')))
    const reload = reloads(log, async () => {
      const next = await read()
      const entrance = await accessOf(next)
      const changes = server.take({ config: next, admit: entrance?.admit }) // refuses only to let everybody in
      access?.[Symbol.dispose]()
      access = entrance
      return changes
    })
    stack.defer(context.onReload(() => void reload()))
    stack.use(keepAlive({ clock, log }, env))
    await tellReady(env)
    terminal.result({ url: server.url, health: server.healthUrl }, () => `machine tools at ${server.url}, health at ${server.healthUrl}`)
    await stopAsked({ signal })
  },
})

/** `isTrusted`: it is refused where others could change it, or read the secrets beside it: the helper would refuse it too. */
async function readConfig(path: string, { isOptional, isTrusted }: { isOptional: boolean; isTrusted: boolean }): Promise<OperateConfig> {
  return isTrusted ? readTrusted(path, { isOptional }) : (await loadConfig({ schema, path, isOptional, isYaml11Too: true })).value
}
