// Every way a backup or its way back can fail.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('backup', {
  too_large: (d: { path: string; maxBytes: number }) => ({
    kind: 'limited',
    message: `${d.path} has more than ${d.maxBytes} bytes: it cannot be sealed or opened here`,
    hint: 'seal and open it by hand: age -r RECIPIENT, age -d -i KEYFILE',
  }),
  none: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no backup at ${d.path}`,
    hint: 'fairlead operate backup makes one',
  }),
  not_one: (d: { path: string; problem: string }) => ({
    kind: 'usage',
    message: `${d.path} is no backup of this server: ${d.problem}`,
    hint: 'it has config/, data/ and version.json in it, in one folder',
  }),
  key_wanted: (d: { path: string; flag: string }) => ({
    kind: 'usage',
    message: `${d.path} is sealed`,
    hint: `open it with ${d.flag} FILE`,
  }),
  tar_failed: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `tar failed: ${d.problem}`,
    hint: 'is there room on the disk?',
  }),
  went_back: (d: { problem: string }) => ({
    kind: 'unavailable',
    message: `the backup was not put back, and all is as it was: ${d.problem}`,
    hint: 'journalctl -u mcp-raspi-server',
  }),
})
