// Lists what waits for a person at the gate, and says yes or no: to a call that needs it, or to a tool whose definition is held back.
import { durationMs } from '../../base/config/duration.ts'
import { durationText } from '../../base/terminal/amount.ts'
import { type Context, type Flag, type Input, command } from '../../base/terminal/command.ts'
import { confirm, isPersonAt } from '../../base/terminal/confirm.ts'
import { textDiff } from '../../base/terminal/text-diff.ts'
import { visibleText } from '../../base/terminal/visible.ts'
import type { HeldTool, WaitingCall } from '../api.ts'
import { type GateCalls, configFlag, runningGate } from '../client.ts'
import { fault } from '../faults.ts'

const args = {
  what: { summary: 'the id of a call that waits, or the upstream of a tool; without it all that waits is listed', optional: true },
  tool: { summary: 'the tool in quarantine: its name, or the beginning of its fingerprint', optional: true },
} as const
const flags = {
  session: { summary: 'to a call: the same call again in the same session, too' },
  for: { summary: 'to a call: the same call again for so long, too', value: 'DURATION' },
  deny: { summary: 'to a call: no' },
  yes: { summary: 'to a tool: accept it without being asked' },
  config: configFlag,
} as const satisfies Record<string, Flag>
type Asked = Input<typeof args, typeof flags>

/** So many hex digits tell two fingerprints apart. */
const leastFingerprint = 8

export default command({
  summary: "say yes or no to a call that waits for it, or accept a tool's changed definition",
  description:
    'A yes to a call is for exactly that call: the same principal, upstream, tool and arguments to the byte. It ends with the gate. For a tool the old and the new definition are shown first, with hidden characters made visible.',
  args,
  flags,
  examples: [
    ['fairlead gate approve', 'what waits: calls, and tools in quarantine with the reasons'],
    ['fairlead gate approve k3Jx0aQz', 'yes to this one call'],
    ['fairlead gate approve k3Jx0aQz --for 10m', 'and to the same call again within ten minutes'],
    ['fairlead gate approve k3Jx0aQz --deny', 'no'],
    ['fairlead gate approve files read_file', 'show what has changed in the tool, and accept it after a yes'],
  ],
  async run(context, asked) {
    const { what, tool } = asked.args
    const { configs } = await import('../../extensions.ts')
    const gate = await runningGate(context, configs, asked.flags.config)
    if (what === undefined) return list(context, gate)
    if (tool !== undefined) return acceptTool(context, gate, asked, what, tool)
    return decideCall(context, gate, asked, what)
  },
})

async function list({ terminal }: Context, gate: GateCalls): Promise<void> {
  const [waiting, tools] = await Promise.all([gate['list-calls']({}), gate['list-tools']({})])
  terminal.result({ calls: waiting, tools }, () =>
    waiting.length + tools.length === 0 ? 'nothing waits' : [...waiting.map(callText), ...tools.map(toolText)].join('\n'),
  )
}

async function decideCall(
  { terminal }: Context,
  gate: GateCalls,
  { flags: { session, for: forTime, deny } }: Asked,
  id: string,
): Promise<void> {
  if ([session, deny, forTime !== undefined].filter(Boolean).length > 1) throw fault.one_answer({})
  const forMs = forTime === undefined ? undefined : durationMs(forTime)
  if (forTime !== undefined && !forMs) throw fault.no_duration({ text: forTime })
  const decision = deny ? 'deny' : session ? 'session' : forMs === undefined ? 'once' : { forMs }
  const decided = await gate['decide-call']({ id, decision })
  const how = deny ? 'denied' : session ? 'approved for its session' : forMs === undefined ? 'approved once' : `approved for ${forTime}`
  terminal.result({ ...decided, decision }, () => `${how}: ${visibleText(callLine(decided))}`)
}

async function acceptTool(
  context: Context,
  gate: GateCalls,
  { flags: { yes, session, for: forTime, deny } }: Asked,
  upstream: string,
  named: string,
): Promise<void> {
  if (session || deny || forTime !== undefined) throw fault.tool_answer({})
  const { terminal, stdin } = context
  const held = (await gate['list-tools']({})).filter((one) => one.upstream === upstream)
  const isMeant = ({ tool, fingerprint }: HeldTool): boolean =>
    tool === named || (named.length >= leastFingerprint && fingerprint.startsWith(named))
  const one = held.find(isMeant)
  if (!one) throw fault.no_held_tool({ upstream, tool: named })
  const { tool, fingerprint, reasons } = one
  const diff = textDiff(`${upstream} ${visibleText(tool)}`, one.before && visibleText(one.before), visibleText(one.now), 3)
  const shown = `${diff}\n${reasons.map((reason) => `- ${visibleText(reason)}`).join('\n')}`
  if (!yes) {
    if (!isPersonAt(stdin)) throw fault.tool_unconfirmed({ upstream, tool, diff: shown })
    terminal.log(shown)
    if (!(await confirm(context, `Accept this definition of ${visibleText(tool)}?`))) throw fault.not_accepted({ upstream, tool })
  }
  await gate['accept-tool']({ upstream, tool, fingerprint })
  terminal.result({ upstream, tool, fingerprint, reasons, diff }, () =>
    [...(yes ? [shown] : []), `accepted: ${visibleText(tool)} of ${upstream}; clients see it when they list tools again`].join('\n'),
  )
}

function callLine({ principal, upstream, tool, arguments: given }: WaitingCall): string {
  return `${principal} calls ${tool} of ${upstream}${given === '' ? '' : ` with ${given}`}`
}

function callText(call: WaitingCall): string {
  const lines = [
    visibleText(callLine(call)),
    `refused in ${durationText(call.expiresInMs / 1_000)}; to allow it: fairlead gate approve ${call.id}`,
  ]
  return `call ${call.id}\n${lines.map((line) => `  ${line}`).join('\n')}`
}

function toolText({ upstream, tool, fingerprint, reasons }: HeldTool): string {
  const isPlain = /^[\w./-]+$/.test(tool)
  const named = isPlain ? tool : fingerprint.slice(0, 12)
  return [
    `tool ${visibleText(tool)} of ${upstream}: in quarantine`,
    ...reasons.map((reason) => `  ${visibleText(reason)}`),
    `  to look at it, and accept it: fairlead gate approve ${upstream} ${named}`,
  ].join('\n')
}
