// The screen of `fairlead status`: a block for each capability, a line for each thing, what to do below what is wrong, and what went wrong lately.
import type { Standing, Status, StatusLine } from '../../base/checks/status.ts'
import type { Terminal } from '../../base/terminal/terminal.ts'
import { visibleText } from '../../base/terminal/visible.ts'

type Style = Terminal['style']

const marks: Readonly<Record<Standing, string>> = { good: '✓', bad: '✗', unknown: '?', off: '·' }
const maxTextLength = 240

/** Plain text and emphasis only: what came from outside cannot steer a terminal. */
export function statusText({ machine, version, at, standing, sections, events }: Status, style: Style): string {
  const lines = sections.flatMap((section) => section.lines)
  const width = Math.min(28, Math.max(0, ...lines.map(({ name }) => shown(name).length)))
  const blocks = sections
    .filter((section) => section.lines.length > 0)
    .map((section) => [style.bold(section.title), ...section.lines.flatMap((line) => lineText(line, width, style))].join('\n'))
  const lately = events.map(
    ({ at: when, capability, about, text }) => `  ${timeText(when)}  ${style.dim(capability)}  ${shown(about)}: ${shown(text)}`,
  )
  return [
    `${style.bold(machine)}  ${style.dim(`fairlead ${version}, ${timeText(at)}`)}`,
    ...blocks,
    ...(lately.length > 0 ? [[style.bold('Lately'), ...lately].join('\n')] : []),
    verdictText(standing, lines, style),
  ].join('\n\n')
}

function lineText({ name, standing, text, remedy }: StatusLine, width: number, style: Style): readonly string[] {
  const paint = { good: style.good, bad: style.bad, unknown: style.bad, off: style.dim }[standing]
  const said = standing === 'off' ? style.dim(shown(text)) : shown(text)
  const line = `  ${paint(marks[standing])} ${shown(name).padEnd(width)}  ${said}`
  if (remedy === undefined) return [line]
  const mend = `${' '.repeat(width + 6)}→ ${shown(remedy)}`
  return [line, standing === 'off' ? style.dim(mend) : mend]
}

function verdictText(standing: Standing, lines: readonly StatusLine[], { good, bad, dim }: Style): string {
  if (standing === 'good') return good('nothing is wrong')
  if (standing === 'off') return dim('nothing runs here: fairlead up')
  const count = lines.filter((line) => line.standing === 'bad' || line.standing === 'unknown').length
  return bad(`${count} thing${count === 1 ? ' is' : 's are'} wrong`)
}

function shown(text: string): string {
  const line = visibleText(text).replaceAll('\n', ' ')
  return line.length > maxTextLength ? `${line.slice(0, maxTextLength - 1)}…` : line
}

/** UTC, to the second. */
function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`
}
