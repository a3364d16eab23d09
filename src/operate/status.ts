// What a look at the whole machine tells of the machine itself, and of the server of its tools.
import { join } from 'node:path'
import type { StatusLine, StatusSource } from '../base/checks/status.ts'
import { askNearby } from '../base/control/nearby.ts'
import { durationText, percentText, sizeText } from '../base/terminal/amount.ts'
import { type MachineSummary, machineApi } from './api.ts'

const source: StatusSource = {
  title: 'Machine',
  async look(needs) {
    const folders = needs.homes.map(({ folders: { runtime } }) => join(runtime, 'machine'))
    const daemon = { name: 'machine tools', api: machineApi, folders, start: 'fairlead operate server' }
    const answers = await askNearby(needs, daemon, (calls, signal) => calls.summary({}, { signal }))
    return { lines: answers.flatMap(({ name, line, value }) => (line ? [line] : linesOf(name, value))) }
  },
}

export default source

function linesOf(name: string, summary: MachineSummary): readonly StatusLine[] {
  const { url, uptimeSeconds, sessions, sandbox, checks, warnings } = summary
  const server = [
    `${url}, up ${durationText(uptimeSeconds)}`,
    `${sessions} session${sessions === 1 ? '' : 's'}`,
    ...(sandbox === 'disabled' ? [] : [`sandbox ${sandbox}: not every call is real`]),
  ]
  const machine: StatusLine =
    warnings.length === 0
      ? { name: 'machine', standing: 'good', text: measuredText(summary) }
      : {
          name: 'machine',
          standing: 'bad',
          text: warnings.join('; '),
          remedy: 'see what uses it: the tools process_list and system_get_health_snapshot',
        }
  return [machine, { name, standing: 'good', text: server.join('; ') }, ...checks.flatMap((check) => checkLine(check, url))]
}

function measuredText({ values, uptimeOfMachineSeconds: up }: MachineSummary): string {
  const measured = (series: string, text: (value: number) => string): readonly string[] =>
    values[series] === undefined ? [] : [text(values[series])]
  return [
    ...measured('cpu_percent', (value) => `CPU ${percentText(value)}`),
    ...measured('memory_percent', (value) => `memory ${percentText(value)} (${sizeText(values['memory_used_bytes'] ?? 0)})`),
    ...measured('disk_percent', (value) => `disk ${percentText(value)} (${sizeText(values['disk_used_bytes'] ?? 0)})`),
    ...measured('temperature_celsius', (value) => `${value.toFixed(0)} °C`),
    ...(up === null ? [] : [`up ${durationText(up)}`]),
  ].join(', ')
}

/** What is well needs no line of its own, but for the helper, which is another process. */
function checkLine(
  { name, ok, reason = 'it is not well', optional }: MachineSummary['checks'][number],
  url: string,
): readonly StatusLine[] {
  if (ok) return name === 'helper' ? [{ name, standing: 'good', text: 'it answers' }] : []
  if (optional) return [{ name, standing: 'off', text: reason }]
  return [
    {
      name,
      standing: 'bad',
      text: reason,
      remedy: name === 'helper' ? 'fairlead operate agent, as root' : `look at the server's log; ${url.replace(/mcp$/, 'health')}`,
    },
  ]
}
