// Every way the ledger can fail. Who asked for a dangerous action must not do it then.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('ledger', {
  unwritable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the ledger ${d.path} cannot be written: ${d.reason}`,
    hint: 'free space on its file system, or mend the disk; writing begins again by itself within seconds',
  }),
  not_synced: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `the ledger ${d.path} was written, but may not survive a loss of power: ${d.reason}`,
    hint: 'check the disk; a new segment has been begun',
  }),
  closed: (d: { path: string }) => ({
    kind: 'unavailable',
    message: `the ledger ${d.path} is closed`,
    hint: 'the program is stopping; try again when it has started',
  }),
  bad_entry: (d: { path: string; problem: string }) => ({
    kind: 'bug',
    message: `an entry for the ledger ${d.path} is not fit: ${d.problem}`,
    hint: 'this is a defect in Fairlead: please report it',
  }),
  too_large: (d: { path: string; maxLength: number }) => ({
    kind: 'limited',
    message: `an entry for the ledger ${d.path} has more than ${d.maxLength} characters`,
    hint: 'record a digest of what is large',
  }),
  overloaded: (d: { path: string; maxWaiting: number }) => ({
    kind: 'unavailable',
    message: `${d.maxWaiting} entries of ${d.path} wait for the disk already`,
    hint: 'the disk is slower than the load; try again',
  }),
  unreadable: (d: { path: string; reason: string }) => ({
    kind: 'unavailable',
    message: `cannot read the ledger ${d.path}: ${d.reason}`,
    hint: 'check that it exists and that you may read it',
  }),
  note_invalid: (d: { problem: string }) => ({
    kind: 'denied',
    message: `not a checkpoint that counts: ${d.problem}`,
    hint: 'it was altered or cut on its way, or is of another version',
  }),
})
