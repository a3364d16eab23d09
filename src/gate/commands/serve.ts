// Runs the gate by itself, from its configuration, until it is stopped.
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { loadConfig } from '../../base/config/config.ts'
import { command } from '../../base/terminal/command.ts'
import schema from '../config.ts'
import { startConfiguredGate } from '../configured.ts'

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
  async run({ terminal, log, clock, folders, env, signal }, { flags }) {
    const path = flags.config ?? join(folders.config, 'fairlead.toml')
    const { value } = await loadConfig({
      schema: z.looseObject({ gate: schema.prefault({}) }),
      path,
      isOptional: flags.config === undefined,
    })
    const { upstreams } = await import('../../extensions.ts')
    const gate = await startConfiguredGate({ clock, log, env, folder: dirname(path), state: folders.state, kinds: upstreams }, value.gate)
    terminal.result({ url: gate.url, upstreams: Object.keys(value.gate.upstreams) }, () =>
      [`the gate is ready at ${gate.url}`, ...Object.keys(value.gate.upstreams).map((name) => `  ${gate.url}/mcp/${name}`)].join('\n'),
    )
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    await gate.close()
  },
})
