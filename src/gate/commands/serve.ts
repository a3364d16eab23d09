// Runs the gate by itself, from its configuration, until it is stopped.
import { dirname, join } from 'node:path'
import { lookAround } from '../../base/checks/status.ts'
import { findReachable } from '../../base/control/reachable.ts'
import { type ClusterConfig, sharedBy } from '../../base/cluster/open.ts'
import { loadMachineConfig } from '../../base/config/machine.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { changeMark } from '../../kernel/file.ts'
import { startConfiguredGate } from '../configured.ts'
import { keepReloading } from '../reloading.ts'
import type { GateConfig } from '../upstream-kind.ts'

export default command({
  summary: 'run the gate: every call checked, recorded and kept alive',
  description:
    'Clients reach an upstream at /mcp/<upstream>, and all of them at /mcp. Sessions outlive a restart of the gate and of the servers behind it. Upstreams, principals and rules are read again when the file changes, on SIGHUP and by `fairlead gate reload`; a bad file changes nothing.',
  flags: {
    config: { summary: 'the configuration file, with a table [gate]; fairlead.toml in the configuration folder by default', value: 'FILE' },
  },
  examples: [
    ['fairlead gate serve', 'serve what the configuration names, until stopped'],
    ['fairlead gate serve --config ./gate.toml', 'the same, from another file'],
  ],
  async run(context, { flags }) {
    const { terminal, log, clock, folders, env, version, signal, onReload, homes, peers } = context
    const { checks, configs, connectors, reachables, statuses, upstreams: kinds } = await import('../../extensions.ts')
    const load = () => loadMachineConfig(configs, folders.config, flags.config)
    const { path, tables } = await load()
    const mark = changeMark(path)
    const config = tables['gate'] as GateConfig
    const folder = dirname(path)
    const openShared = sharedBy({ clock, log, env, folder }, tables['cluster'] as ClusterConfig | undefined)
    const control = join(folders.runtime, 'gate')
    const read = async (): Promise<GateConfig> => (await load()).tables['gate'] as GateConfig
    const reach = () =>
      findReachable({ clock, env, peers, homes, signal }, reachables, (owner, error) => log.debug('dashboard.find', { owner, error }))
    const look = (asked: AbortSignal) => lookAround({ clock, env, peers, homes, version, signal: asked }, statuses)
    const needs = {
      clock,
      log,
      env,
      folder,
      openShared,
      state: folders.state,
      control,
      kinds,
      checks,
      connectors,
      version,
      read,
      look,
      reach,
    }
    const gate = await startConfiguredGate(needs, config)
    terminal.result({ url: gate.url, upstreams: Object.keys(config.upstreams) }, () =>
      [
        `the gate is ready at ${gate.url}`,
        `  ${gate.url}/mcp`,
        ...Object.keys(config.upstreams).map((name) => `  ${gate.url}/mcp/${name}`),
      ].join('\n'),
    )
    const stopReloading = keepReloading({ clock, log, gate, onAsked: onReload }, path, mark)
    await stopAsked({ signal })
    stopReloading()
    await gate.close()
  },
})
