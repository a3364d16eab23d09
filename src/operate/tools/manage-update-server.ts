// manage_update_server: updates this server and its helper to a signed release.
import { z } from 'zod'
import { begun, jobAnswer, simulatedJob } from '../answers.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { installationAt } from '../installation.ts'
import { startJob } from '../jobs.ts'
import { Releases } from '../update/releases.ts'
import { versionForm } from '../update/version.ts'

export default privilegedTool({
  name: 'manage_update_server',
  title: 'Update this server',
  description:
    'Begins an update of this server and its helper to the newest release, or the one named, from where the configuration says. Its signature is checked before anything changes; one that does not prove to be ' +
    'well is taken back. Answers a job at once: both are started anew meanwhile, so this connection may be lost. Ask manage_get_job how it went.',
  input: z.strictObject({
    version: z.string().regex(versionForm).max(64).optional().describe('The newest by default.'),
  }),
  output: jobAnswer,
  annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: true },
  role: 'admin',
  effect: 'change',
  privileged: {
    async perform(_needs, { version }) {
      const program = new Releases(installationAt().root).program()
      const words = version === undefined ? [] : ['--to', version]
      return begun(await startJob('update', [program, 'operate', 'update', '--here', ...words]))
    },
  },
  simulate: simulatedJob,
})
