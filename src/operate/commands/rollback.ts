// Goes back to a release that was kept: the last good one, or the one that is named.
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { command } from '../../base/terminal/command.ts'
import { isUnfinished, resume, rollBack } from '../update/engine.ts'
import { engineOf } from '../update/engine-of.ts'
import { fault as operateFault } from '../faults.ts'
import { fault } from '../update/faults.ts'
import { carryOutAsJob } from '../update/launch.ts'
import { lastGood } from '../update/releases.ts'

export default command({
  summary: 'go back to a release that was kept',
  description: 'As an update does, it proves that the release is well; when it is not, the one that ran before stays.',
  args: { version: { summary: 'the release; by default the last good one', optional: true } },
  flags: {
    here: { summary: 'do the work in this process: what the transient unit runs' },
    config: { summary: 'the configuration file; /etc/mcp-raspi/config.yml by default', value: 'FILE' },
  },
  examples: [['fairlead operate rollback', 'to the release before this one']],
  async run(context, { args: { version }, flags }) {
    const engine = await engineOf(context, flags.config)
    if (userInfo().uid !== 0) throw operateFault.root_wanted({ what: 'go back to another release' })
    const { needs, settings, releases } = engine
    const target = version ?? lastGood(releases, settings.root)
    if (target === undefined) throw fault.no_way_back({ version: 'before this one', kept: releases.kept().join(', ') })
    // named, so that a unit that is killed at its very end, and begun anew, does not go back once more
    if (!flags.here)
      return carryOutAsJob(context, engine, ['rollback', '--here', target, ...(flags.config ? ['--config', resolve(flags.config)] : [])])
    const isOver = !isUnfinished(settings.root) && releases.current() === target
    const { from, to } = isOver
      ? { from: target, to: target }
      : await (isUnfinished(settings.root) ? resume(needs, settings) : rollBack(needs, settings, target))
    context.terminal.result({ from, to }, () => (from === to ? `${to} runs already` : `${to} runs; before it was ${from}`))
  },
})
