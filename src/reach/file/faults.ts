// Every way in which a file does not go from one peer to another.
import { type FaultKind, faults } from '../../kernel/fault.ts'

export const fault = faults('reach', {
  offer_invalid: (d: { problem: string }) => ({ kind: 'usage', message: `not a signed offer of a file: ${d.problem}` }),
  files_not_taken: () => ({ kind: 'denied', message: 'not authorized' }), // all that a stranger learns
  file_too_large: (d: { sizeBytes: number; maxBytes: number }) => ({
    kind: 'limited',
    message: `a file of ${d.sizeBytes} bytes; it takes no more than ${d.maxBytes} from you`,
  }),
  too_many_files: (d: { limit: number }) => ({ kind: 'limited', message: `it takes no more than ${d.limit} files at once` }),
  file_refused: (d: { peer: string; own: string; code: string; kind: FaultKind; message: string }) => ({
    kind: d.kind,
    message: `${d.peer} refused the file: ${d.message}`,
    ...refusalHint(d),
  }),
  file_cut: (d: { peer: string; problem: string }) => ({
    kind: 'unavailable',
    message: `the connection to ${d.peer} broke before the file was there: ${d.problem}`,
    hint: 'send it again: what has arrived is kept there, and is not sent twice',
  }),
  senders_damaged: (d: { path: string }) => ({
    kind: 'config',
    message: `${d.path}, which says whose files are taken, cannot be understood: nobody's are`,
    hint: 'remove it, then name them again: fairlead reach accept-files ID',
  }),
  not_a_sender: (d: { peer: string }) => ({ kind: 'missing', message: `no files are taken from ${d.peer} as it is` }),
  max_size_invalid: (d: { mib: number }) => ({
    kind: 'usage',
    message: `--max-mib ${d.mib} is no size of a file`,
    hint: 'write 1 or more',
  }),
  too_many_senders: (d: { limit: number }) => ({
    kind: 'limited',
    message: `more than ${d.limit} peers whose files are taken`,
    hint: 'take some off: fairlead reach accept-files ID --remove',
  }),
})

function refusalHint({ own, code }: { own: string; code: string }): { hint?: string } {
  if (code === 'reach.files_not_taken') return { hint: `its owner lets you in with: fairlead reach accept-files ${own}` }
  if (code === 'reach.file_too_large') return { hint: `its owner can allow more: fairlead reach accept-files ${own} --max-mib COUNT` }
  return code === 'reach.message_skewed' ? { hint: 'set both clocks right: timedatectl set-ntp true' } : {}
}
