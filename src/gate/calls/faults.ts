// What can go wrong when the gate is asked about calls.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('calls', {
  too_many_searches: (d: { waiting: number }) => ({
    kind: 'limited',
    message: `${d.waiting} searches of the record wait already`,
    hint: 'ask again when some are done, or close pages that search',
  }),
})
