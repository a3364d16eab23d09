// The privileged helper: performs what the machine tools need root for, by its own configuration, for whoever may open its socket.
import { join } from 'node:path'
import { keepAlive, tellReady } from '../../base/supervise/readiness.ts'
import { command, stopAsked } from '../../base/terminal/command.ts'
import { startHelper } from '../helper/serve.ts'
import { createHost } from '../host.ts'

export default command({
  summary: 'be the privileged helper of the machine tools, at a socket for their server alone',
  description:
    'It checks everything again by its own configuration, which only root may be able to change, records all that it is asked, and reads the configuration again when it has changed. ' +
    'Its socket is for the group of the folder that it is in.',
  flags: {
    config: { summary: 'the configuration file; config.yml in the configuration folder by default', value: 'FILE' },
  },
  examples: [['fairlead operate agent', 'serve at /run/mcp-raspi/ops-agent.sock until stopped']],
  async run({ terminal, log, clock, folders, env, signal, version, onReload }, { flags }) {
    const { tools } = await import('../../extensions.ts')
    const own = tools.filter(({ owner }) => owner === 'operate')
    const helper = await startHelper(
      { clock, log, version, host: createHost(), tools: own },
      { config: flags.config ?? join(folders.config, 'config.yml'), socket: join(folders.runtime, 'ops-agent.sock') },
    )
    const forget = onReload(() => helper.reload())
    terminal.result({ socket: helper.socket, operations: helper.operations }, () => `the helper is at ${helper.socket}`)
    using _ = keepAlive({ clock, log }, env)
    await tellReady(env)
    await stopAsked({ signal })
    forget()
    await helper.close()
  },
})
