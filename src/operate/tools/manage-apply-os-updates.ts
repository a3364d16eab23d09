// manage_apply_os_updates: installs the updates of the operating system's packages.
import { z } from 'zod'
import { begun, jobAnswer, simulatedJob } from '../answers.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { startJob } from '../jobs.ts'

export default privilegedTool({
  name: 'manage_apply_os_updates',
  title: 'Install updates of the system',
  description:
    'Begins to fetch the lists of packages and to install the updates that need no package to be removed (apt-get upgrade); configuration files that were changed here stay. manage_preview_os_updates tells ' +
    'first what would be installed. Answers a job at once: ask manage_get_job how it went.',
  input: z.strictObject({}),
  output: jobAnswer,
  annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: true },
  role: 'admin',
  effect: 'change',
  privileged: {
    perform: async () =>
      begun(
        await startJob(
          'os-update',
          ['apt-get', '--yes', '--quiet', '-o', 'Dpkg::Options::=--force-confold', '-o', 'Dpkg::Options::=--force-confdef', 'upgrade'],
          '/usr/bin/apt-get --quiet update',
        ),
      ),
  },
  simulate: simulatedJob,
})
