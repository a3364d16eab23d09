// manage_check_for_updates: which releases of this server there are.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { asFault } from '../../kernel/fault.ts'
import { orUnavailable } from '../answers.ts'
import { installationAt } from '../installation.ts'
import type { MachineNeeds } from '../needs.ts'
import { sourceOf } from '../update/source.ts'
import { compareVersions } from '../update/version.ts'

const shown = 100

export default tool({
  name: 'manage_check_for_updates',
  title: 'Releases of this server',
  description:
    'Which releases there are where the configuration says, newest first, and whether one is newer than this one. What is there is not believed before its signature is checked, which manage_update_server does.',
  input: z.strictObject({}),
  output: z.object({
    current: z.string(),
    source: z.string(),
    newer: z.boolean().optional(),
    available: orUnavailable(z.array(z.string())),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: true },
  role: 'operator',
  effect: 'observe',
  limits: { timeoutMs: 120_000 },
  async handle({ config, version }: MachineNeeds) {
    const { source, package: name, authority } = config.updates
    const { state } = installationAt()
    try {
      const versions = await sourceOf({ source, package: name, authority, work: state }, { HOME: state }).versions()
      return {
        current: version,
        source,
        newer: versions.some((one) => compareVersions(one, version) > 0),
        available: versions.slice(0, shown),
      }
    } catch (error) {
      return { current: version, source, available: { unavailable: asFault(error).message } }
    }
  },
})
