// manage_backup_server: backs up this server's configuration and data.
import { z } from 'zod'
import { begun, jobAnswer, simulatedJob } from '../answers.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { startJob } from '../jobs.ts'

export default privilegedTool({
  name: 'manage_backup_server',
  title: 'Back up this server',
  description:
    'Begins a backup of this server: configuration, data and version, to the folder that the configuration names. Answers a job at once: ask manage_get_job how it went.',
  input: z.strictObject({}),
  output: jobAnswer,
  annotations: { destructiveHint: false, idempotentHint: false, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    perform: async () => begun(await startJob('backup-now', ['/usr/local/bin/mcp-backup.sh'])),
  },
  simulate: simulatedJob,
})
