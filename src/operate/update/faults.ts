// Every way an update or its way back can fail.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('update', {
  bad_tarball: (d: { problem: string }) => ({
    kind: 'usage',
    message: `this is no package of a release: ${d.problem}`,
    hint: 'it is what "npm pack" makes and "fairlead operate release" signs',
  }),
  not_signed: (d: { problem: string }) => ({
    kind: 'denied',
    message: `the release is refused, and nothing was changed: ${d.problem}`,
    hint: 'a release is signed by "fairlead operate release"; whose signature counts stands in updates.signers of the configuration',
  }),
  other_release: (d: { wanted: string; version: string }) => ({
    kind: 'denied',
    message: `what is there as release ${d.wanted} is ${d.version}: nothing was changed`,
    hint: 'whoever can write at the source may have put it there; fairlead operate update --from names another',
  }),
  no_source: (d: { source: string; problem: string }) => ({
    kind: 'unavailable',
    message: `releases cannot be had from ${d.source}: ${d.problem}`,
    hint: 'updates.source of the configuration is "npm", an https:// address or a folder',
  }),
  no_such_version: (d: { version: string; source: string }) => ({
    kind: 'missing',
    message: `there is no release ${d.version} at ${d.source}`,
    hint: 'fairlead operate update --check lists what is there',
  }),
  not_newer: (d: { version: string; current: string }) => ({
    kind: 'conflict',
    message: `${d.version} is not newer than ${d.current}, which is installed`,
    hint: 'the way back is: fairlead operate rollback',
  }),
  no_way_back: (d: { version: string; kept: string }) => ({
    kind: 'missing',
    message: `there is no release ${d.version} to go back to`,
    hint: `kept are: ${d.kept}`,
  }),
  not_installed: (d: { path: string; problem: string }) => ({
    kind: 'config',
    message: `${d.path} is no installation: ${d.problem}`,
    hint: 'deployment/install.sh makes one',
  }),
  version_file_damaged: (d: { path: string; problem: string }) => ({
    kind: 'config',
    message: `${d.path} cannot be understood: ${d.problem}`,
    hint: 'write it anew, with "current_version" as the link /opt/mcp-raspi/current has it',
  }),
  not_well: (d: { version: string; withinMs: number; problem: string }) => ({
    kind: 'unavailable',
    message: `release ${d.version} did not prove to be well within ${d.withinMs} ms: ${d.problem}`,
    hint: 'journalctl -u mcp-raspi-server',
  }),
  went_back: (d: { from: string; to: string; problem: string }) => ({
    kind: 'unavailable',
    message: `release ${d.to} was given up, and ${d.from} runs again: ${d.problem}`,
    hint: 'journalctl -u mcp-raspi-server tells what release it was that failed, and why',
  }),
  nothing_unfinished: (d: { root: string }) => ({
    kind: 'missing',
    message: `no change of ${d.root} was cut off`,
    hint: 'fairlead operate update begins one',
  }),
  failed: (d: { problem: string }) => ({ kind: 'unavailable', message: d.problem, hint: 'journalctl -u mcp-raspi-update' }),
  bad_key: (d: { path: string }) => ({
    kind: 'usage',
    message: `${d.path} holds no signing key`,
    hint: 'fairlead operate release --new-key makes one: 32 bytes as 64 hexadecimal digits, readable by you alone',
  }),
})
