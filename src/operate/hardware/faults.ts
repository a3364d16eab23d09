// Every way a device can fail those who asked for it.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('hardware', {
  absent: (d: { what: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.what} cannot be used: ${d.reason}`,
    hint: 'system_get_capabilities says what this machine has, and what is missing',
  }),
  in_use: (d: { what: string; by: string }) => ({
    kind: 'conflict',
    message: `${d.what} is used by ${d.by}`,
    hint: 'stop what uses it, or take another',
  }),
  no_answer: (d: { what: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.what} did not answer: ${d.reason}`,
    hint: 'check its wiring, its power and its address',
  }),
  no_line: (d: { chip: string; line: number; reason: string }) => ({
    kind: 'missing',
    message: `${d.chip} does not do that with line ${d.line}: ${d.reason}`,
    hint: 'gpio_get_all_states names the lines of a chip',
  }),
  too_many: (d: { what: string; max: number }) => ({
    kind: 'limited',
    message: `${d.max} ${d.what} are waiting already`,
    hint: 'wait for some of them to end, then try again',
  }),
  failed: (d: { what: string; reason: string }) => ({
    kind: 'unavailable',
    message: `${d.what} failed: ${d.reason}`,
    hint: 'look at the log of the helper: journalctl -u raspi-ops-agent',
  }),
})
