// manage_preview_os_updates: which packages of the operating system have updates.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { asFault } from '../../kernel/fault.ts'
import type { MachineNeeds } from '../needs.ts'
import { orUnavailable } from '../answers.ts'
import { parseAptSimulation } from '../os-updates.ts'

const shown = 500
const timeoutMs = 60_000

export default tool({
  name: 'manage_preview_os_updates',
  title: 'Updates of the system',
  description:
    'Which packages manage_apply_os_updates would install, by name, with the version that is here and the new one, as of the last time that the lists of packages were fetched. Changes nothing.',
  input: z.strictObject({}),
  output: z.object({
    updates: orUnavailable(
      z.array(z.object({ name: z.string(), from: z.string().optional(), to: z.string(), origin: z.string().optional() })),
    ),
    count: z.int().optional().describe('Of all, when not every one is listed.'),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'operator',
  effect: 'observe',
  limits: { timeoutMs },
  async handle({ host }: MachineNeeds) {
    try {
      const { exitCode, stdout, stderr } = await host.run(
        ['apt-get', '--simulate', '--quiet', '-o', 'APT::Get::Show-User-Simulation-Note=false', 'upgrade'],
        timeoutMs,
        4 << 20,
      )
      if (exitCode !== 0) return { updates: { unavailable: `apt-get: ${stderr.trim().split('\n')[0] || `exit code ${exitCode}`}` } }
      const updates = parseAptSimulation(stdout)
      return { updates: updates.slice(0, shown), count: updates.length }
    } catch (error) {
      return { updates: { unavailable: asFault(error).message } }
    }
  },
})
