// network_resolve_name: what the name servers of this machine say of a name.
import { Resolver } from 'node:dns/promises'
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { orUnavailable } from '../answers.ts'
import { isKnown } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { isHostName, parseResolvConf } from '../network.ts'

const types = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SRV', 'TXT'] as const
const maxRecords = 100
const maxLength = 1_000

/** One record as people write it. */
function textOf(record: unknown): string {
  if (Array.isArray(record)) return record.join('')
  return typeof record === 'object' && record !== null ? Object.values(record).join(' ') : String(record)
}

export default tool({
  name: 'network_resolve_name',
  title: 'Look up a name',
  description:
    'Asks the name servers of /etc/resolv.conf for the records of a name. /etc/hosts is not looked at. `none` is an answer: the name, or a record of this type, does not exist.',
  input: z.strictObject({
    name: z.string().min(1).max(253).refine(isHostName, 'name a host, such as example.org'),
    type: z.enum(types).default('A'),
  }),
  output: z.object({
    servers: z.array(z.string()),
    answer: orUnavailable(z.object({ status: z.enum(['found', 'none']), records: z.array(z.string()), leftOut: z.int() })),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: true },
  role: 'operator',
  effect: 'observe',
  async handle({ host }: MachineNeeds, { name, type }, { signal }) {
    const text = await host.text('/etc/resolv.conf')
    const servers = isKnown(text) ? parseResolvConf(text).servers : []
    if (servers.length === 0)
      return { servers, answer: { unavailable: isKnown(text) ? '/etc/resolv.conf names no server' : text.unavailable } }
    const resolver = new Resolver({ timeout: 2_000, tries: 2 })
    const cancel = (): void => resolver.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      resolver.setServers(servers)
      const found = (await resolver.resolve(name, type)) as readonly unknown[]
      const records = found.slice(0, maxRecords).map((record) => textOf(record).slice(0, maxLength))
      return { servers, answer: { status: 'found' as const, records, leftOut: found.length - records.length } }
    } catch (error) {
      const code = reasonOf(error)
      if (code === 'ENOTFOUND' || code === 'ENODATA') return { servers, answer: { status: 'none' as const, records: [], leftOut: 0 } }
      return { servers, answer: { unavailable: `no name server gave an answer (${code.slice(0, 80)})` } }
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  },
})
