// process_signal: sends a signal to a process that is named by its number and its name, so that no other one is hit that got the number meanwhile.
import { z } from 'zod'
import { signalProcess } from '../../kernel/exec.ts'
import { fault } from '../faults.ts'
import { privilegedTool } from '../helper/privileged.ts'
import { isKnown } from '../host.ts'
import { parseCmdline, parseProcessStat, processName } from '../process.ts'

const signals = ['TERM', 'INT', 'HUP', 'KILL', 'STOP', 'CONT', 'USR1', 'USR2'] as const
const maxCmdlineBytes = 8 << 10

export default privilegedTool({
  name: 'process_signal',
  title: 'Signal a process',
  description:
    "Sends a signal to one process. Only processes whose name the machine's configuration names (helper.allow.processes); " +
    'pid and name as process_list gives them, and the signal is not sent when they do not belong together. TERM asks to end, KILL ends at once. For a service use service_control.',
  input: z.strictObject({
    pid: z.int().min(2).max(4_194_304),
    name: z.string().min(1).max(256).describe('The name of the process, as process_list gives it.'),
    signal: z.enum(signals),
  }),
  output: z.object({ pid: z.int(), name: z.string(), signal: z.enum(signals) }),
  annotations: { destructiveHint: true, idempotentHint: false, openWorldHint: false },
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ name }) => [{ list: 'processes', name }],
    async perform({ host }, { pid, name, signal }) {
      const [stat, cmdline] = await Promise.all([host.text(`/proc/${pid}/stat`), host.text(`/proc/${pid}/cmdline`, maxCmdlineBytes)])
      const found = isKnown(stat) ? parseProcessStat(stat) : undefined
      if (!found) throw fault.no_process({ pid })
      const args = isKnown(cmdline) ? parseCmdline(cmdline) : []
      if (processName(found, args) !== name)
        throw fault.not_that_process({ pid, name, problem: `its name is ${processName(found, args).slice(0, 64)}` })
      if (pid === process.pid) throw fault.not_that_process({ pid, name, problem: 'it is the helper itself' })
      if (!signalProcess(pid, `SIG${signal}`)) throw fault.no_process({ pid })
      return { pid, name, signal }
    },
  },
  simulate: (input) => input,
})
