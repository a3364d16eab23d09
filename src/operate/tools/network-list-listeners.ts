// network_list_listeners: which ports of this machine wait for others, a page at a time.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { orUnavailable } from '../answers.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { isKnown, known } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { type Listener, parseListeners } from '../network.ts'
import { parsePasswd } from '../process.ts'

const files = [
  ['tcp', '/proc/net/tcp'],
  ['tcp', '/proc/net/tcp6'],
  ['udp', '/proc/net/udp'],
  ['udp', '/proc/net/udp6'],
] as const
const maxBytes = 4 << 20

/** Where it stands in the list, so that a page goes on behind the one before whatever has come or gone. */
const valueOf = ({ port, protocol, family }: Listener): number => port * 4 + (protocol === 'udp' ? 2 : 0) + (family === 'IPv6' ? 1 : 0)
const isOpenToOthers = ({ address }: Listener): boolean => !address.startsWith('127.') && address !== '::1'

export default tool({
  name: 'network_list_listeners',
  title: 'Listening ports',
  description:
    'The TCP and UDP ports on which this machine waits for others, by port, with the address they are bound to, whether other machines can get there (as far as this machine decides it: a firewall is ' +
    'not looked at), and the user whose they are. Pages by nextCursor.',
  input: z.strictObject({
    protocol: z.enum(['tcp', 'udp']).optional(),
    port: z.int().min(1).max(65_535).optional(),
    limit: z.int().min(1).max(500).default(100).describe('How many to return.'),
    cursor: z.string().max(200).optional().describe('nextCursor of the page before, with otherwise the same arguments.'),
  }),
  output: z.object({
    listeners: orUnavailable(
      z.array(
        z.object({
          protocol: z.enum(['tcp', 'udp']),
          family: z.enum(['IPv4', 'IPv6']),
          address: z.string().describe('0.0.0.0 and :: are all addresses of this machine.'),
          port: z.int(),
          isOpenToOthers: z.boolean(),
          user: z.string(),
        }),
      ),
    ),
    total: z.int().describe('On all pages.'),
    nextCursor: z.string().optional().describe('Absent on the last page.'),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host }: MachineNeeds, { protocol, port, limit, cursor }) {
    const place = cursor === undefined ? undefined : decodeCursor(cursor, 'port')
    const [passwd, ...texts] = await Promise.all([host.text('/etc/passwd', 1 << 20), ...files.map(([, path]) => host.text(path, maxBytes))])
    if (!texts.some(isKnown)) return { listeners: known(texts[0]!) === undefined ? (texts[0] as { unavailable: string }) : [], total: 0 }
    const users = parsePasswd(known(passwd) ?? '')
    const all = texts
      .flatMap((text, index) => (isKnown(text) ? parseListeners(text, files[index]![0]) : []))
      .filter((each) => (protocol === undefined || each.protocol === protocol) && (port === undefined || each.port === port))
      .sort((a, b) => valueOf(a) - valueOf(b) || (a.address < b.address ? -1 : a.address > b.address ? 1 : 0))
    // `id` counts those of one port, protocol and family
    const numbered = all.map((each, index) => ({ each, id: index - all.findIndex((other) => valueOf(other) === valueOf(each)) }))
    const rest = place
      ? numbered.filter(({ each, id }) => valueOf(each) > place.value || (valueOf(each) === place.value && id > place.id))
      : numbered
    const page = rest.slice(0, limit)
    const last = page.at(-1)
    return {
      listeners: page.map(({ each: { uid, ...each } }) => ({
        ...each,
        isOpenToOthers: isOpenToOthers({ uid, ...each }),
        user: users.get(uid) ?? String(uid),
      })),
      total: all.length,
      ...(last && rest.length > page.length ? { nextCursor: encodeCursor({ order: 'port', value: valueOf(last.each), id: last.id }) } : {}),
    }
  },
})
