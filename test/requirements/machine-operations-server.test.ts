// Plays docs/runbooks/machine-operations-server.md on a machine with systemd, and says which requirements of the runbook no step has proved.
import { createPi, obstacle } from '../script/pi.ts'
import { acts } from './machine-operations-server-acts.ts'
import { machineOperationsServer } from './machine-operations-server.ts'
import { playPage } from './play-page.ts'

playPage({
  file: 'machine-operations-server.md',
  hosts: ['pi'],
  tools: ['sqlite3', 'logrotate', 'curl', 'python3', 'cron'],
  place: { obstacle, create: createPi },
  acts,
  requirements: machineOperationsServer,
})
