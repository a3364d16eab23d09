// manage_get_job: how far long work is that another tool began.
import { z } from 'zod'
import { jobAnswer } from '../answers.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { findJob } from '../jobs.ts'

const askEveryMs = 500

export default privilegedTool({
  name: 'manage_get_job',
  title: 'Progress of long work',
  description:
    'How far a job is that manage_update_server, manage_rollback_server, manage_apply_os_updates or manage_backup_server began: running, done or failed, and what it said last. ' +
    'With waitSeconds it answers when the job has ended, or after that time. An update replaces this server meanwhile: ask again when it is back.',
  input: z.strictObject({ jobId: z.string().min(1).max(64), waitSeconds: z.int().min(0).max(60).default(0) }),
  output: jobAnswer,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'observe',
  limits: { timeoutMs: 90_000 },
  privileged: {
    async perform({ clock }, { jobId, waitSeconds }, { signal, progress }) {
      for (const from = clock.mono(); ; await clock.wait(askEveryMs, signal)) {
        const { id, ...job } = await findJob(jobId)
        const waitedMs = clock.mono() - from
        if (job.state !== 'running' || waitedMs >= waitSeconds * 1_000) return { jobId: id, ...job, lines: [...job.lines] }
        progress(waitedMs / 1_000, waitSeconds, job.lines.at(-1))
      }
    },
  },
})
