// manage_rollback_server: goes back to a release of this server that was kept.
import { z } from 'zod'
import { begun, jobAnswer, simulatedJob } from '../answers.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { installationAt } from '../installation.ts'
import { startJob } from '../jobs.ts'
import { fault } from '../update/faults.ts'
import { Releases, lastGood } from '../update/releases.ts'
import { versionForm } from '../update/version.ts'

export default privilegedTool({
  name: 'manage_rollback_server',
  title: 'Go back to an earlier release',
  description:
    'Begins to run a release of this server and its helper that was kept: the last good one, or the one named (manage_server_status lists them). Answers a job at once; this connection may be lost. Ask ' +
    'manage_get_job how it went.',
  input: z.strictObject({
    version: z.string().regex(versionForm).max(64).optional().describe('The last good one by default.'),
  }),
  output: jobAnswer,
  annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: false },
  role: 'admin',
  effect: 'change',
  privileged: {
    async perform(_needs, { version }) {
      const { root } = installationAt()
      const releases = new Releases(root)
      const target = version ?? lastGood(releases, root)
      if (target === undefined || !releases.kept().includes(target))
        throw fault.no_way_back({ version: target ?? 'before this one', kept: releases.kept().join(', ') })
      return begun(await startJob('update', [releases.program(), 'operate', 'rollback', '--here', target]))
    },
  },
  simulate: simulatedJob,
})
