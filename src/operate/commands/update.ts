// Updates the machine's server and helper to a signed release, and comes back by itself when that does not prove to be well.
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { command } from '../../base/terminal/command.ts'
import { isUnfinished, resume, update } from '../update/engine.ts'
import { engineOf } from '../update/engine-of.ts'
import { fault as operateFault } from '../faults.ts'
import { fault } from '../update/faults.ts'
import { carryOutAsJob } from '../update/launch.ts'
import { compareVersions, isVersion } from '../update/version.ts'

export default command({
  summary: 'update the machine server and its helper to a signed release',
  description:
    'Checks the signature of the release and the hash of each of its files before anything changes, runs it, and asks its /health and a tool of it. A release that does not prove to be well within ' +
    '[updates.health_seconds] is taken back, and the one before runs again. The work is done by a transient unit of systemd (mcp-raspi-update), which a lost terminal does not end.',
  flags: {
    check: { summary: 'say which releases there are, and change nothing' },
    to: { summary: 'this release instead of the newest', value: 'VERSION' },
    from: { summary: 'npm, an https:// address or a folder, in place of the configured one', value: 'SOURCE' },
    resume: { summary: 'end a change that was cut off, and begin none' },
    here: { summary: 'do the work in this process: what the transient unit runs' },
    config: { summary: 'the configuration file; /etc/mcp-raspi/config.yml by default', value: 'FILE' },
  },
  examples: [
    ['fairlead operate update --check', 'which releases are there'],
    ['fairlead operate update', 'to the newest'],
  ],
  async run(context, { flags }) {
    const { terminal } = context
    if (flags.to !== undefined && !isVersion(flags.to))
      throw fault.no_such_version({ version: flags.to, source: flags.from ?? 'any place' })
    const engine = await engineOf(context, flags.config)
    if (flags.check) {
      const [current, versions] = [engine.releases.current(), await engine.source(flags.from).versions()]
      const newer = versions.filter((version) => compareVersions(version, current) > 0)
      const found = { current, newest: newer[0] ?? null, available: versions, kept: engine.releases.kept() }
      return terminal.result(found, () =>
        newer[0] === undefined ? `${current} is the newest release` : `${current} runs, and there is ${newer.join(', ')}`,
      )
    }
    if (userInfo().uid !== 0) throw operateFault.root_wanted({ what: 'update the machine server' })
    if (!flags.here) {
      const words = [
        ...(flags.to ? ['--to', flags.to] : []),
        ...(flags.from ? ['--from', placeOf(flags.from)] : []),
        ...(flags.config ? ['--config', resolve(flags.config)] : []),
      ]
      return carryOutAsJob(context, engine, ['update', '--here', ...words])
    }
    if (flags.resume || isUnfinished(engine.installation.root)) return told(terminal, await resume(engine.needs, engine.settings))
    const [current, source] = [engine.releases.current(), engine.source(flags.from)]
    const version = flags.to ?? (await source.versions())[0] ?? current
    if (version === current) return terminal.result({ from: current, to: current }, () => `${current} runs already`)
    if (compareVersions(version, current) < 0) throw fault.not_newer({ version, current })
    told(terminal, await update(engine.needs, engine.settings, version, () => source.tarball(version)))
  },
})

/** The unit does its work in another folder than the one a person stands in. */
function placeOf(source: string): string {
  return source === 'npm' || source.startsWith('https://') ? source : resolve(source)
}

function told(
  terminal: { result(object: unknown, human: () => string): void },
  change: { readonly from: string; readonly to: string },
): void {
  terminal.result(change, () => `${change.to} runs; before it was ${change.from}`)
}
