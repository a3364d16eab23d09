// What `fairlead status` and the dashboard tell of the gate.
import type { StatusSource } from '../base/checks/status.ts'

const source: StatusSource = {
  title: 'Gate',
  look: async () => ({ lines: [] }),
}

export default source
