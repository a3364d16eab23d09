// Has the running gate read its configuration again, and says what came of it.
import { loadMachineConfig } from '../../base/config/machine.ts'
import { command } from '../../base/terminal/command.ts'
import type { ReloadedGate } from '../api.ts'
import { configFlag, controlFolder, gateCalls } from '../client.ts'
import type { GateConfig } from '../upstream-kind.ts'

/** Credentials may come from commands that take their time. */
const patienceMs = 30_000

export default command({
  summary: 'have the running gate read its configuration again, without losing a call',
  description:
    'What may change while it runs holds when the command returns; calls that run end at the servers they went to. A file that is wrong changes nothing: the fault names file, line and key. Of `fairlead up`, too.',
  flags: { config: configFlag },
  examples: [
    ['fairlead gate reload', 'after fairlead.toml was changed: what is other now, and what needs a new start'],
    ['fairlead gate reload --config ./gate.toml', 'the gate that runs with that file'],
  ],
  async run({ folders, terminal }, { flags }) {
    const { configs } = await import('../../extensions.ts')
    const { path, tables } = await loadMachineConfig(configs, folders.config, flags.config)
    const config = tables['gate'] as GateConfig
    const reloaded = await gateCalls(controlFolder(folders, path, config), patienceMs).reload({})
    terminal.result(reloaded, () => shown(reloaded))
  },
})

function shown({ added, removed, changed, changedKeys, needsRestart }: ReloadedGate): string {
  const lines = [
    ['upstreams added', added],
    ['upstreams removed', removed],
    ['upstreams changed', changed],
    ['in force now', changedKeys],
    ['needs a new start', needsRestart],
  ] as const
  const told = lines.filter(([, names]) => names.length > 0)
  if (told.length === 0) return 'what the file says is in force already'
  return told.map(([what, names]) => `${`${what}:`.padEnd(19)} ${names.join(', ')}`).join('\n')
}
