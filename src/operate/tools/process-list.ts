// process_list: the processes of this machine, filtered, ordered and a page at a time.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { bytes, orUnavailable, time } from '../answers.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import { fault } from '../faults.ts'
import { type Host, isKnown, known } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { parseBootTime } from '../proc.ts'
import {
  type ProcessStat,
  isCut,
  parseCmdline,
  parsePasswd,
  parseProcessStat,
  parseProcessStatus,
  processName,
  processStates,
  ticksPerSecond,
} from '../process.ts'
import { redactArguments } from '../redact.ts'

const atOnce = 32
/** Of one command line, as read; what is shown is cut at `maxShown` characters. */
const maxCmdlineBytes = 8 << 10
const maxShown = 1_000

const input = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Only processes whose command name contains this text; letter case does not matter.'),
  user: z.string().min(1).max(64).optional().describe('Only processes of this user, by name or number.'),
  sort: z
    .enum(['cpu', 'memory', 'pid'])
    .default('cpu')
    .describe('cpu: most CPU time used since start first. memory: most resident memory first. pid: lowest first.'),
  limit: z.int().min(1).max(500).default(50).describe('How many processes to return.'),
  cursor: z.string().max(200).optional().describe('nextCursor of the page before, with otherwise the same arguments.'),
})

const output = z.object({
  processes: z.array(
    z.object({
      pid: z.int(),
      ppid: z.int(),
      user: z.string(),
      state: z.enum(processStates),
      name: z.string(),
      commandLine: orUnavailable(z.string()).describe('What looks like a secret is replaced by [redacted]; long ones are cut.'),
      memoryBytes: bytes.describe('Resident memory.'),
      cpuSeconds: z.number().describe('CPU time used since start, user and system.'),
      startedAt: orUnavailable(time),
    }),
  ),
  total: z.int().describe('Processes that match, on all pages.'),
  nextCursor: z.string().optional().describe('Absent on the last page.'),
})

type Seen = ProcessStat & { readonly user: string; readonly uid: number; readonly rssBytes: number; readonly name: string }

/** Undefined for a process that has ended meanwhile: that is normal. */
async function look(host: Host, pid: string, users: ReadonlyMap<number, string>): Promise<Seen | undefined> {
  const [stat, status] = await Promise.all([host.text(`/proc/${pid}/stat`), host.text(`/proc/${pid}/status`)])
  if (!isKnown(stat) || !isKnown(status)) return undefined
  const parsed = parseProcessStat(stat)
  const { uid, rssBytes } = parseProcessStatus(status)
  if (!parsed || uid === undefined) return undefined
  const cmdline = isCut(parsed) ? parseCmdline(known(await host.text(`/proc/${pid}/cmdline`, maxCmdlineBytes)) ?? '') : []
  const name = processName(parsed, cmdline)
  return { ...parsed, name, uid, user: users.get(uid) ?? String(uid), rssBytes }
}

async function lookAtAll(host: Host, pids: readonly string[], users: ReadonlyMap<number, string>, signal: AbortSignal): Promise<Seen[]> {
  const seen: Seen[] = []
  for (let at = 0; at < pids.length && !signal.aborted; at += atOnce) {
    const some = await Promise.all(pids.slice(at, at + atOnce).map((pid) => look(host, pid, users)))
    seen.push(...some.filter((each) => each !== undefined))
  }
  return seen
}

async function commandLineOf(host: Host, { pid, name }: Seen): Promise<string | { unavailable: string }> {
  const text = await host.text(`/proc/${pid}/cmdline`, maxCmdlineBytes)
  if (!isKnown(text)) return text
  const args = parseCmdline(text)
  if (args.length === 0) return { unavailable: `${name} has none: it is a thread of the kernel, or it is ending` }
  const shown = redactArguments(args).join(' ')
  return shown.length > maxShown ? `${shown.slice(0, maxShown)}…` : shown
}

export default tool({
  name: 'process_list',
  title: 'Processes',
  description:
    'Processes of this machine with user, state, command line, resident memory, CPU time used since start (not a momentary percentage) and start time. ' +
    'Filter by name or user; sort by cpu, memory or pid; pages by nextCursor. Between two pages processes come and go: only the order by pid never repeats one.',
  input,
  output,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  limits: { maxOutputBytes: 1 << 20 },
  async handle({ host }: MachineNeeds, { name, user, sort, limit, cursor }, { signal }) {
    const valueOf = (seen: Seen): number => (sort === 'cpu' ? -seen.cpuTicks : sort === 'memory' ? -seen.rssBytes : seen.pid)
    const place = cursor === undefined ? undefined : decodeCursor(cursor, sort)
    const [names, passwd, stat] = await Promise.all([
      host.names('/proc'),
      host.text('/etc/passwd', 1 << 20),
      host.text('/proc/stat', 1 << 20),
    ])
    if (!isKnown(names)) throw fault.no_processes({ reason: names.unavailable })
    const pids = names.filter((entry) => /^\d+$/.test(entry))
    const all = await lookAtAll(host, pids, parsePasswd(known(passwd) ?? ''), signal)
    const wanted = name?.toLowerCase()
    const matching = all
      .filter((seen) => wanted === undefined || seen.name.toLowerCase().includes(wanted))
      .filter((seen) => user === undefined || seen.user === user || String(seen.uid) === user)
      .sort((a, b) => valueOf(a) - valueOf(b) || a.pid - b.pid)
    const rest = place
      ? matching.filter((seen) => valueOf(seen) > place.value || (valueOf(seen) === place.value && seen.pid > place.id))
      : matching
    const page = rest.slice(0, limit)
    const last = page.at(-1)
    const bootedAt = isKnown(stat) ? parseBootTime(stat) : undefined
    return {
      processes: await Promise.all(
        page.map(async (seen) => ({
          pid: seen.pid,
          ppid: seen.ppid,
          user: seen.user,
          state: seen.state,
          name: seen.name,
          commandLine: await commandLineOf(host, seen),
          memoryBytes: seen.rssBytes,
          cpuSeconds: seen.cpuTicks / ticksPerSecond,
          startedAt:
            bootedAt === undefined
              ? { unavailable: '/proc/stat does not say when the machine started' }
              : new Date((bootedAt + seen.startTicks / ticksPerSecond) * 1_000).toISOString(),
        })),
      ),
      total: matching.length,
      ...(last && rest.length > page.length ? { nextCursor: encodeCursor({ order: sort, value: valueOf(last), id: last.pid }) } : {}),
    }
  },
})
