// network_get_wifi: the wireless interfaces of this machine, and what they are connected to.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { asFault } from '../../kernel/fault.ts'
import { orUnavailable } from '../answers.ts'
import { type Host, type Unavailable, isKnown } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { type WifiLink, isInterfaceName, parseIwLink } from '../network.ts'
import { wirelessInterfaces } from '../wireless.ts'

const timeoutMs = 3_000

async function linkOf(host: Host, name: string): Promise<WifiLink | Unavailable> {
  if (!isInterfaceName(name)) return { unavailable: 'its name cannot be given to iw' }
  try {
    const { exitCode, stdout, stderr } = await host.run(['iw', 'dev', name, 'link'], timeoutMs)
    return exitCode === 0 ? parseIwLink(stdout) : { unavailable: `iw ended with ${exitCode}: ${stderr.trim().slice(0, 200)}` }
  } catch (error) {
    const { kind, code, message } = asFault(error)
    if (kind === 'bug') throw error
    return { unavailable: code === 'exec.not_found' ? 'iw is not installed: sudo apt install iw' : message }
  }
}

export default tool({
  name: 'network_get_wifi',
  title: 'Wireless network',
  description:
    'The wireless interfaces of this machine, and for each the network it is connected to: name, access point, frequency, signal, rate. Nothing is scanned.',
  input: z.strictObject({}),
  output: z.object({
    interfaces: orUnavailable(
      z.array(
        z.object({
          name: z.string(),
          link: orUnavailable(
            z.object({
              isConnected: z.boolean(),
              ssid: z.string().optional(),
              accessPoint: z.string().optional(),
              frequencyMhz: z.number().optional(),
              signalDbm: z.number().optional().describe('Above -60 is good, below -80 hardly usable.'),
              transmitMbps: z.number().optional(),
            }),
          ),
        }),
      ),
    ),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host }: MachineNeeds) {
    const names = await wirelessInterfaces(host)
    if (!isKnown(names)) return { interfaces: names }
    return { interfaces: await Promise.all(names.map(async (name) => ({ name, link: await linkOf(host, name) }))) }
  },
})
