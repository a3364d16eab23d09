// The gate as a stdio MCP server: through the gate that runs on this machine, or one of its own.
import { dirname, join } from 'node:path'
import { type ClusterConfig, sharedBy } from '../../base/cluster/open.ts'
import { loadMachineConfig } from '../../base/config/machine.ts'
import { legWire } from '../../base/mcp/leg/as-wire.ts'
import { wireLeg } from '../../base/mcp/leg/wire.ts'
import { command } from '../../base/terminal/command.ts'
import { answeredLine } from '../../base/wire/bad-line.ts'
import { linesWire } from '../../base/wire/lines.ts'
import { limitsOf } from '../../base/wire/walk.ts'
import { changeMark } from '../../kernel/file.ts'
import { gateFolder, startConfiguredGate } from '../configured.ts'
import { fault } from '../faults.ts'
import { connectLocal } from '../local-door.ts'
import { OwnOrRunning } from '../own-or-running.ts'
import { keepReloading } from '../reloading.ts'
import type { GateConfig } from '../upstream-kind.ts'

export default command({
  summary: 'be a stdio MCP server that is the gate: for a client of this machine',
  description:
    'For the configuration of an MCP client. Goes through the gate that runs with this configuration, or through one of its own that opens no port; the client is the principal that gate.local names. Ends with its stdin and leaves nothing behind.',
  flags: {
    upstream: { summary: 'this upstream alone, under its own names; all of them by default, as UPSTREAM__NAME', value: 'NAME' },
    config: { summary: 'the configuration file, with a table [gate]; fairlead.toml in the configuration folder by default', value: 'FILE' },
  },
  examples: [
    ['fairlead gate stdio', 'as the "command" and "args" of a client’s configuration: all upstreams'],
    ['fairlead gate stdio --upstream files --config ./gate.toml', 'one of them, of another file'],
  ],
  async run({ log, clock, folders, env, version, signal, stdin, stdout, onReload }, { flags }) {
    const { configs, connectors, upstreams: kinds } = await import('../../extensions.ts')
    const load = () => loadMachineConfig(configs, folders.config, flags.config)
    const { path, tables } = await load()
    const mark = changeMark(path)
    const config = tables['gate'] as GateConfig
    const folder = dirname(path)
    const openShared = sharedBy({ clock, log, env, folder }, tables['cluster'] as ClusterConfig | undefined)
    const { upstream } = flags
    if (config.local === undefined) throw fault.no_local({ file: path })
    const isOffered = Object.keys(config.offers).length > 0 // who is offered is seen later
    if (upstream !== undefined && !isOffered && !Object.hasOwn(config.upstreams, upstream))
      throw fault.no_upstream({ name: upstream, known: Object.keys(config.upstreams).join(', ') })
    const limits = limitsOf(config.max_frame_bytes)
    const control = join(folders.runtime, 'gate')
    const read = async (): Promise<GateConfig> => (await load()).tables['gate'] as GateConfig
    const own = { state: folders.state, control, kinds, connectors, version, read, isLocalOnly: true }
    const needs = { clock, log, env, folder, openShared, ...own }
    const connect = () => connectLocal(gateFolder(config, folders.state), upstream, limits)
    const start = async () => {
      const own = await startConfiguredGate(needs, config)
      const stopReloading = keepReloading({ clock, log, gate: own, onAsked: onReload }, path, mark)
      return {
        close() {
          stopReloading()
          return own.close()
        },
      }
    }
    const gate = new OwnOrRunning({ clock, connect, start })
    const remote = legWire({
      name: 'the gate',
      open: async (era, side) => wireLeg(await gate.open(), era, 'the gate', side),
      log,
      budget: limits.budget,
    })
    const client = linesWire(stdin, stdout, { limits, onBadLine: (problem) => answeredLine(problem, (frame) => client.write(frame)) })
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    try {
      client.read(remote)
      remote.read(client)
      await Promise.race([client.ended, stopped])
    } finally {
      await remote.close()
      await gate.close()
    }
  },
})
