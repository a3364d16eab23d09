// process_info: one process of this machine, more of it than the list has.
import { z } from 'zod'
import { tool } from '../../base/mcp/tool/tool.ts'
import { bytes, orUnavailable, time } from '../answers.ts'
import { fault } from '../faults.ts'
import { found, isKnown, known } from '../host.ts'
import type { MachineNeeds } from '../needs.ts'
import { parseBootTime } from '../proc.ts'
import {
  parseCmdline,
  parsePasswd,
  parseProcessStat,
  parseProcessStatus,
  processName,
  processStates,
  ticksPerSecond,
  unitOfCgroup,
} from '../process.ts'
import { redactArguments } from '../redact.ts'

const maxCmdlineBytes = 8 << 10
const maxArguments = 100
const maxShown = 500

const count = (text: string, name: string): number | undefined => {
  const value = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]
  return value === undefined ? undefined : Number(value)
}

export default tool({
  name: 'process_info',
  title: 'One process',
  description:
    'One process of this machine: user, state, arguments (what looks like a secret is replaced by [redacted]), memory, CPU time, threads, the service it belongs to, and what it has read and written. ' +
    'Its environment is never told.',
  input: z.strictObject({ pid: z.int().min(1).max(4_194_304).describe('As process_list gives it.') }),
  output: z.object({
    pid: z.int(),
    ppid: z.int(),
    user: z.string(),
    state: z.enum(processStates),
    name: z.string(),
    arguments: orUnavailable(z.array(z.string())).describe(`At most ${maxArguments}, each cut at ${maxShown} characters.`),
    program: orUnavailable(z.string()),
    workingFolder: orUnavailable(z.string()),
    unit: orUnavailable(z.string()).describe('The unit of systemd that it belongs to.'),
    threads: orUnavailable(z.int()),
    memoryBytes: bytes.describe('Resident memory.'),
    peakMemoryBytes: orUnavailable(bytes),
    swappedBytes: orUnavailable(bytes),
    cpuSeconds: z.number().describe('CPU time used since start, user and system.'),
    readBytes: orUnavailable(bytes).describe('From disks, since it started.'),
    writtenBytes: orUnavailable(bytes).describe('To disks, since it started.'),
    startedAt: orUnavailable(time),
  }),
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  role: 'viewer',
  effect: 'observe',
  async handle({ host }: MachineNeeds, { pid }) {
    const at = `/proc/${pid}`
    const [stat, status, cmdline, cgroup, io, program, workingFolder, boot, passwd] = await Promise.all([
      host.text(`${at}/stat`),
      host.text(`${at}/status`),
      host.text(`${at}/cmdline`, maxCmdlineBytes),
      host.text(`${at}/cgroup`),
      host.text(`${at}/io`),
      host.link(`${at}/exe`),
      host.link(`${at}/cwd`),
      host.text('/proc/stat', 1 << 20),
      host.text('/etc/passwd', 1 << 20),
    ])
    const seen = isKnown(stat) ? parseProcessStat(stat) : undefined
    if (!seen || !isKnown(status)) throw fault.no_process({ pid })
    const { uid, rssBytes } = parseProcessStatus(status)
    const args = parseCmdline(known(cmdline) ?? '')
    const counted = (name: string, unit = 1) =>
      found(status, `${at}/status`, (text) => {
        const value = count(text, name)
        return value === undefined ? undefined : value * unit
      })
    const bootedAt = known(boot) === undefined ? undefined : parseBootTime(known(boot)!)
    return {
      pid,
      ppid: seen.ppid,
      user: uid === undefined ? '' : (parsePasswd(known(passwd) ?? '').get(uid) ?? String(uid)),
      state: seen.state,
      name: processName(seen, args),
      arguments:
        args.length === 0
          ? { unavailable: 'it has none: it is a thread of the kernel, or it is ending' }
          : redactArguments(args)
              .slice(0, maxArguments)
              .map((arg) => (arg.length > maxShown ? `${arg.slice(0, maxShown)}…` : arg)),
      program,
      workingFolder,
      unit: found(cgroup, `${at}/cgroup`, unitOfCgroup),
      threads: counted('Threads'),
      memoryBytes: rssBytes,
      peakMemoryBytes: counted('VmHWM', 1_024),
      swappedBytes: counted('VmSwap', 1_024),
      cpuSeconds: seen.cpuTicks / ticksPerSecond,
      readBytes: found(io, `${at}/io`, (text) => count(text, 'read_bytes')),
      writtenBytes: found(io, `${at}/io`, (text) => count(text, 'write_bytes')),
      startedAt:
        bootedAt === undefined
          ? { unavailable: '/proc/stat does not say when the machine started' }
          : new Date((bootedAt + seen.startTicks / ticksPerSecond) * 1_000).toISOString(),
    }
  },
})
