// manage_server_status: what this server is, which releases it has, and how its last change of release ended.
import { z } from 'zod'
import { sandboxModes } from '../../base/mcp/tool/tool.ts'
import { tool } from '../../base/mcp/tool/tool.ts'
import { asFault } from '../../kernel/fault.ts'
import { orUnavailable } from '../answers.ts'
import { installationAt } from '../installation.ts'
import { isKnown } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { readVersion } from '../update/version-file.ts'
import { newestFirst } from '../update/version.ts'

export default tool({
  name: 'manage_server_status',
  title: 'Status of this server',
  description:
    'The version of this server, its sandbox mode, whether its helper answers, which releases are kept on this machine, and how the last update or rollback ended.',
  input: z.strictObject({}),
  output: z.object({
    version: z.string(),
    sandboxMode: z.enum(sandboxModes),
    helper: orUnavailable(z.object({ answers: z.literal(true) })),
    releases: orUnavailable(z.array(z.string())),
    lastUpdate: orUnavailable(
      z.object({
        currentVersion: z.string(),
        previousGoodVersion: z.string().nullable(),
        status: z.string(),
        timestamp: z.string(),
        fromVersion: z.string().optional(),
        toVersion: z.string().optional(),
        reason: z.string().optional(),
      }),
    ),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host, helper, config, version }: MachineNeeds) {
    const { root } = installationAt()
    const [names, { ok, reason }] = await Promise.all([host.names(`${root}/releases`), helper.health()])
    return {
      version,
      sandboxMode: config.testing.sandbox_mode,
      helper: ok ? { answers: true as const } : { unavailable: reason ?? 'it does not answer' },
      releases: isKnown(names) ? [...newestFirst(names)] : names,
      lastUpdate: lastUpdate(root),
    }
  },
})

function lastUpdate(root: string) {
  try {
    const state = readVersion(root)
    if (!state) return { unavailable: `there is no ${root}/version.json: this server was not installed by deployment/install.sh` }
    const { status, timestamp, from_version: fromVersion, to_version: toVersion, reason } = state.last_update
    const more = Object.fromEntries(Object.entries({ fromVersion, toVersion, reason }).filter(([, value]) => value !== undefined))
    return { currentVersion: state.current_version, previousGoodVersion: state.previous_good_version, status, timestamp, ...more }
  } catch (error) {
    return { unavailable: asFault(error).message }
  }
}
