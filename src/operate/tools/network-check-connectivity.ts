// network_check_connectivity: whether a host answers, the router of this machine by default.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { asFault } from '../../kernel/fault.ts'
import { orUnavailable } from '../answers.ts'
import { type Host, type Unavailable, known } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { type PingResult, isHostName, isInterfaceName, parseIpv4Defaults, parseIpv6Defaults, parsePing } from '../network.ts'

/** How long ping waits for each answer. */
const waitSeconds = 2

/** The router that is asked first. */
async function routerOf(host: Host): Promise<string | undefined> {
  const [ipv4, ipv6] = await Promise.all([host.text('/proc/net/route'), host.text('/proc/net/ipv6_route', 1 << 20)])
  const routes = [...parseIpv4Defaults(known(ipv4) ?? ''), ...parseIpv6Defaults(known(ipv6) ?? '')].sort((a, b) => a.metric - b.metric)
  const first = routes.find(({ gateway, interface: name }) => gateway !== undefined && isInterfaceName(name))
  return first && (first.gateway!.startsWith('fe80:') ? `${first.gateway}%${first.interface}` : first.gateway)
}

async function ping(host: Host, target: string, count: number): Promise<PingResult | Unavailable> {
  const argv = ['ping', '-n', '-q', '-c', String(count), '-W', String(waitSeconds), '--', target] as const
  try {
    const { stdout, stderr, exitCode } = await host.run(argv, (count * (waitSeconds + 1) + 5) * 1_000)
    const said = stderr.trim().split('\n').at(-1)!.slice(0, 200)
    return parsePing(stdout) ?? { unavailable: `ping ended with ${exitCode}: ${said}` }
  } catch (error) {
    const { kind, code, message } = asFault(error)
    if (kind === 'bug') throw error
    return { unavailable: code === 'exec.not_found' ? 'ping is not installed: sudo apt install iputils-ping' : message }
  }
}

export default tool({
  name: 'network_check_connectivity',
  title: 'Does a host answer?',
  description:
    'Asks a host by ping, the default router of this machine unless a target is named, and tells how many answers came and how long they took. ' +
    'No answer does not prove that a host is down: some never answer a ping.',
  input: z.strictObject({
    target: z
      .string()
      .min(1)
      .max(253)
      .refine(isHostName, 'name a host or an address, such as example.org or 192.0.2.1')
      .optional()
      .describe('A host name or an address.'),
    count: z.int().min(1).max(10).default(3).describe('How many times it is asked, a second apart.'),
  }),
  output: z.object({
    target: z.string().optional(),
    result: orUnavailable(
      z.object({
        isReachable: z.boolean(),
        sent: z.int(),
        received: z.int(),
        roundTripMs: z.object({ min: z.number(), average: z.number(), max: z.number() }).optional(),
      }),
    ),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: true },
  role: 'operator',
  effect: 'observe',
  limits: { timeoutMs: 45_000 },
  async handle({ host }: MachineNeeds, { target: named, count }) {
    const target = named ?? (await routerOf(host))
    if (target === undefined) return { result: { unavailable: 'this machine has no default route with a router' } }
    const result = await ping(host, target, count)
    return { target, result: 'unavailable' in result ? result : { isReachable: result.received > 0, ...result } }
  },
})
