// Runs the gate by itself, from its configuration, until it is stopped.
import { dirname, join } from 'node:path'
import { loadMachineConfig } from '../../base/config/machine.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { startConfiguredGate } from '../configured.ts'
import type { GateConfig } from '../upstream-kind.ts'

export default command({
  summary: 'run the gate: every call checked, recorded and kept alive',
  description: 'Clients reach an upstream at /mcp/<upstream>. Sessions outlive a restart of the gate and of the servers behind it.',
  flags: {
    config: { summary: 'the configuration file, with a table [gate]; fairlead.toml in the configuration folder by default', value: 'FILE' },
  },
  examples: [
    ['fairlead gate serve', 'serve what the configuration names, until stopped'],
    ['fairlead gate serve --config ./gate.toml', 'the same, from another file'],
  ],
  async run({ terminal, log, clock, folders, env, version, signal }, { flags }) {
    const { configs, connectors, upstreams: kinds } = await import('../../extensions.ts')
    const { path, tables } = await loadMachineConfig(configs, folders.config, flags.config)
    const config = tables['gate'] as GateConfig
    const control = join(folders.runtime, 'gate')
    const needs = { clock, log, env, folder: dirname(path), state: folders.state, control, kinds, connectors, version }
    const gate = await startConfiguredGate(needs, config)
    terminal.result({ url: gate.url, upstreams: Object.keys(config.upstreams) }, () =>
      [`the gate is ready at ${gate.url}`, ...Object.keys(config.upstreams).map((name) => `  ${gate.url}/mcp/${name}`)].join('\n'),
    )
    await stopAsked({ signal })
    await gate.close()
  },
})
