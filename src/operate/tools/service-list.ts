// service_list: the units that may be looked at, with their states, a page at a time.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { allowedBy } from '../helper/allowed.ts'
import type { MachineNeeds } from '../needs.ts'
import { createSystemd } from '../systemd.ts'

const input = z.strictObject({
  pattern: z
    .string()
    .min(1)
    .max(256)
    .regex(/^[\w:.\\@*?[\]!-]+$/, 'a name of units, in which * and ? stand for others')
    .default('*.service')
    .describe('Only units whose name fits, such as ssh*.service or *.timer.'),
  state: z
    .enum(['active', 'reloading', 'inactive', 'failed', 'activating', 'deactivating'])
    .optional()
    .describe('Only units in this state.'),
  limit: z.int().min(1).max(500).default(100).describe('How many units to return.'),
  cursor: z.string().max(256).optional().describe('nextCursor of the page before, with otherwise the same arguments.'),
})

const output = z.object({
  units: z.array(
    z.object({
      unit: z.string(),
      description: z.string(),
      loadState: z.string().describe('loaded, not-found, masked, … or not-loaded: there is a file of it, and nothing uses it.'),
      activeState: z.string(),
      subState: z.string(),
      enabled: z.string().describe('enabled, disabled, static, masked, …; empty for a unit that has no file.'),
    }),
  ),
  total: z.int().describe('Units that match, on all pages.'),
  nextCursor: z.string().optional().describe('Absent on the last page.'),
})

export default tool({
  name: 'service_list',
  title: 'Services',
  description:
    'The units of systemd on this machine with their states, by name: those that its configuration lets be looked at (helper.allow.units), loaded or not. ' +
    'Filter by name and state; pages by nextCursor.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host, config }: MachineNeeds, { pattern, state, limit, cursor = '' }) {
    const systemd = createSystemd(host)
    const [loaded, files] = await Promise.all([systemd.units(pattern), systemd.unitFiles(pattern)])
    const states = new Map(loaded.map((one) => [one.unit, one]))
    const allows = allowedBy(config)
    const matching = [...new Set([...states.keys(), ...files.keys()])]
      .filter((unit) => allows('units', unit) && (state === undefined || (states.get(unit)?.activeState ?? 'inactive') === state))
      .sort()
    const rest = matching.filter((unit) => unit > cursor)
    const page = rest.slice(0, limit)
    return {
      units: page.map((unit) => ({
        ...(states.get(unit) ?? { unit, description: '', loadState: 'not-loaded', activeState: 'inactive', subState: 'dead' }),
        enabled: files.get(unit) ?? '',
      })),
      total: matching.length,
      ...(rest.length > page.length ? { nextCursor: page.at(-1)! } : {}),
    }
  },
})
