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
  not_intact: (d: { path: string; seq: number; problem: string }) => ({
    kind: 'conflict',
    message: `the ledger is not intact: ${d.path}, entry ${d.seq}: ${d.problem}`,
    hint: 'verify it: what was altered is not signed',
  }),
  inconsistent: (d: { path: string; size: number }) => ({
    kind: 'conflict',
    message: `the ledger ${d.path} is not the one whose first ${d.size} entries its owner signed: it was cut or altered`,
    hint: 'verify it, and compare it with a copy; no checkpoint is signed that contradicts an earlier one',
  }),
  dropped: (d: { path: string; from: number; to: number }) => ({
    kind: 'missing',
    message: `the entries ${d.from} to ${d.to} of ${d.path} are not there any more as they were signed`,
    hint: 'what was dropped cannot be proved one by one: only that it was there, together',
  }),
  no_entry: (d: { path: string; seq: number; last: number }) => ({
    kind: 'missing',
    message: `there is no entry ${d.seq} in ${d.path}: it has ${d.last === 0 ? 'none' : `the entries up to ${d.last}`}`,
  }),
  growth_invalid: (d: { problem: string }) => ({
    kind: 'usage',
    message: `not a checkpoint with a proof that the ledger grew: ${d.problem}`,
  }),
  foreign_checkpoint: (d: { owner: string; peer: string }) => ({
    kind: 'denied',
    message: `the checkpoint is of a ledger of ${d.owner}, but ${d.peer} brings it`,
  }),
  stale_growth: (d: { old: number; known: number }) => ({
    kind: 'conflict',
    message: `the proof begins after ${d.old} entries, but ${d.known} are known here`,
    hint: 'prove it from there',
  }),
  rolled_back: (d: { ledger: string; size: number; known: number; seenAt: string }) => ({
    kind: 'conflict',
    message: `${d.ledger} has ${d.size} entries, but ${d.known} were seen at ${d.seenAt}: its end was cut off`,
    hint: 'put back a copy that has them, or find out who removed them',
  }),
  forked: (d: { ledger: string; known: number; seenAt: string }) => ({
    kind: 'conflict',
    message: `${d.ledger} is not the one of which ${d.known} entries were seen at ${d.seenAt}: some of these were altered`,
    hint: 'put back a copy that has them unaltered, or find out who changed them',
  }),
  too_many_chains: (d: { peer: string; limit: number }) => ({
    kind: 'limited',
    message: `${d.limit} chains of ${d.peer} are remembered already`,
    hint: 'the owner of the witness may remove those that nobody needs from the folder "witness"',
  }),
  note_invalid: (d: { problem: string }) => ({
    kind: 'denied',
    message: `not a checkpoint that counts: ${d.problem}`,
    hint: 'it was altered or cut on its way, or is of another version',
  }),
})
