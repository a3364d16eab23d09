// What `fairlead up` shows a person: where the parts are, what this machine said through the whole line, what each hop cost, and what to paste into a client.
import { durationText, percentText, sizeText } from '../../base/terminal/amount.ts'
import type { Context } from '../../base/terminal/command.ts'
import type { Node } from './node.ts'

type Style = Context['terminal']['style']

type Hop = {
  readonly hop: string
  /** Milliseconds: a call that enters the line here, and what this hop adds to it. */
  readonly callMs: number
  readonly addsMs: number
}

/** The result of `fairlead up`, as --json prints it. */
export type Shown = {
  readonly ok: true
  readonly version: string
  readonly addresses: Node['addresses']
  readonly peerId: string
  readonly line: readonly string[]
  /** What each tool answered, as it came. */
  readonly results: Readonly<Record<string, unknown>>
  readonly hops: readonly Hop[]
  /** Milliseconds from the start of mcp-connect to its first list of tools. */
  readonly firstAnswerMs: number
  readonly client: { readonly mcpServers: Readonly<Record<string, { readonly command: string; readonly args: readonly string[] }>> }
  readonly http: { readonly url: string; readonly tokenFile: string }
  /** A link that signs a browser in to the dashboard, once; absent when nothing stays up. */
  readonly signIn?: string
}

type Maybe<T> = T | { readonly unavailable: string } | undefined
type Use = { readonly totalBytes: number; readonly usedBytes: number; readonly usedPercent: number }
type DiskUse = Use & { readonly availableBytes: number }

/** As much of what the two tools answer as is shown. */
export type Facts = {
  readonly hostname?: Maybe<string>
  readonly os?: Maybe<{ readonly prettyName?: string; readonly name?: string }>
  readonly kernel?: Maybe<string>
  readonly architecture?: string
  readonly model?: Maybe<string>
  readonly cpu?: Maybe<{ readonly count: number; readonly model: Maybe<string> }>
  readonly uptimeSeconds?: Maybe<number>
}
export type Health = {
  readonly load?: Maybe<{ readonly oneMinute: number; readonly fiveMinutes: number; readonly fifteenMinutes: number }>
  readonly cpu?: Maybe<{ readonly percent: number; readonly overMs: number }>
  readonly memory?: Maybe<Use>
  readonly swap?: Maybe<Use>
  readonly disks?: Maybe<readonly ({ readonly path: string } & (DiskUse | { readonly unavailable: string }))[]>
  readonly temperatures?: Maybe<readonly { readonly name: string; readonly celsius: Maybe<number> }[]>
  readonly warnings?: readonly { readonly message: string }[]
}

const width = 100
const labelWidth = 15
const maxDisks = 3
const maxSensors = 4
const maxWarnings = 3

function cut(text: string, room: number): string {
  return text.length > room ? `${text.slice(0, room - 1)}…` : text
}

/** One labelled line; what this machine cannot tell is told with the reason, and dimmed. */
function row({ dim }: Style, label: string, value: Maybe<string>): string {
  const text = typeof value === 'string' ? value : `unavailable: ${value?.unavailable ?? 'it was not answered'}`
  const shown = cut(text, width - 2 - labelWidth)
  return `  ${label.padEnd(labelWidth)}${typeof value === 'string' ? shown : dim(shown)}`
}

function isKnown<T>(value: Maybe<T>): value is T {
  return value !== undefined && !(typeof value === 'object' && value !== null && 'unavailable' in value)
}

function map<T>(value: Maybe<T>, text: (known: T) => string): Maybe<string> {
  return isKnown(value) ? text(value) : value
}

function useText({ usedBytes, totalBytes, usedPercent }: Use): string {
  return `${sizeText(usedBytes)} of ${sizeText(totalBytes)} in use (${percentText(usedPercent)})`
}

function machineRows(style: Style, facts: Facts): string[] {
  const host = isKnown(facts.hostname) ? facts.hostname : 'this machine'
  const system = map(facts.os, ({ prettyName, name }) => prettyName ?? name ?? 'an unnamed system')
  const kernel = isKnown(facts.kernel) ? facts.kernel : 'unknown kernel'
  return [
    row(
      style,
      'machine',
      map(facts.uptimeSeconds, (seconds) => `${host}, up ${durationText(seconds)}`),
    ),
    row(
      style,
      'system',
      map(system, (name) => `${name}, ${kernel}, ${facts.architecture ?? 'unknown architecture'}`),
    ),
    row(style, 'model', facts.model),
    row(
      style,
      'processor',
      map(facts.cpu, ({ count, model }) => `${count} × ${isKnown(model) ? model : 'an unnamed model'}`),
    ),
  ]
}

/** As df counts: what is kept for root is neither in use nor free. */
function diskText({ usedBytes, availableBytes, usedPercent }: DiskUse): string {
  return `${sizeText(usedBytes)} in use, ${sizeText(availableBytes)} free (${percentText(usedPercent)})`
}

/** The fullest ones: those that are not asked, and those that hold nothing, come last and are left out first. */
function diskRows(style: Style, disks: Health['disks']): string[] {
  if (!isKnown(disks)) return [row(style, 'disks', disks)]
  const fullness = (disk: (typeof disks)[number]): number => ('usedPercent' in disk ? disk.usedPercent : -1)
  const byUse = disks.toSorted((a, b) => fullness(b) - fullness(a))
  const rows = byUse
    .slice(0, maxDisks)
    .map((disk) => row(style, cut(`disk ${disk.path}`, labelWidth - 1), 'usedPercent' in disk ? diskText(disk) : disk))
  return byUse.length > maxDisks ? [...rows, row(style, '', `and ${byUse.length - maxDisks} less full ones`)] : rows
}

function healthRows(style: Style, health: Health): string[] {
  const { swap, warnings = [] } = health
  const swapText = isKnown(swap) && swap.totalBytes > 0 ? `; swap: ${useText(swap)}` : ''
  const load = isKnown(health.load) ? health.load : undefined
  const loadText = load ? `; load ${[load.oneMinute, load.fiveMinutes, load.fifteenMinutes].map((one) => one.toFixed(2)).join(' ')}` : ''
  const sensors = map(health.temperatures, (all) =>
    all
      .slice(0, maxSensors)
      .map(({ name, celsius }) => `${name} ${isKnown(celsius) ? `${celsius.toFixed(1)} °C` : 'unavailable'}`)
      .join(', '),
  )
  return [
    row(
      style,
      'CPU',
      map(health.cpu, ({ percent, overMs }) => `${percentText(percent)} busy over ${overMs} ms${loadText}`),
    ),
    row(
      style,
      'memory',
      map(health.memory, (memory) => `${useText(memory)}${swapText}`),
    ),
    ...diskRows(style, health.disks),
    row(style, 'temperature', sensors),
    ...warnings
      .slice(0, maxWarnings)
      .map(({ message }) => `  ${style.bad('attention'.padEnd(labelWidth))}${cut(message, width - 2 - labelWidth)}`),
  ]
}

function hopRows({ dim }: Style, hops: readonly Hop[], firstAnswerMs: number): string[] {
  const ms = (value: number): string => `${value.toFixed(1)} ms`
  const columns = (hop: string, takes: string, adds: string): string =>
    `${hop.padEnd(42)}${takes.padStart(10)}${adds.padStart(12)}`.trimEnd()
  return [
    `  ${dim(columns('a call that enters the line at', 'takes', 'this hop'))}`,
    ...hops.map(({ hop, callMs, addsMs }) => `  ${columns(hop, ms(callMs), `${addsMs < 0 ? '−' : '+'}${ms(Math.abs(addsMs))}`)}`),
    `  ${columns('from the start of mcp-connect to its tools', ms(firstAnswerMs), '')}`,
  ]
}

/** A flag and its value stay together. */
function inPairs(args: readonly string[]): string[] {
  const words = args.map((arg, at) => `${JSON.stringify(arg)}${at < args.length - 1 ? ',' : ']'}`)
  const isFlag = (at: number): boolean => /^--[\w-]+$/.test(args[at] ?? '') && at < args.length - 1
  return words.flatMap((word, at) => (isFlag(at) ? [`${word} ${words[at + 1]}`] : isFlag(at - 1) ? [] : [word]))
}

/** JSON to paste, its array of words filled line by line: an ordinary printer would use a line for each. */
function clientRows({ mcpServers }: Shown['client']): string[] {
  const lines = ['  { "mcpServers": {']
  for (const [name, { command, args }] of Object.entries(mcpServers)) {
    lines.push(`    ${JSON.stringify(name)}: {`, `      "command": ${JSON.stringify(command)},`)
    let line = '      "args": ['
    for (const words of inPairs(args)) {
      const isFirst = line.endsWith('[')
      if (!isFirst && line.length + 1 + words.length > width) {
        lines.push(line)
        line = `        ${words}`
      } else line += isFirst ? words : ` ${words}`
    }
    lines.push(line)
  }
  return [...lines, '    } } }']
}

/** What a person opens first. */
function dashboardRows({ signIn }: Shown, { bold, dim }: Style): string[] {
  if (signIn === undefined) return []
  return [`${bold('Dashboard')}: ${signIn}`, `  ${dim('good once, for ten minutes; another link: fairlead gate sign-in')}`, '']
}

/** The screen: at most 100 columns, save for paths and addresses, which are never cut. */
export function screen(shown: Shown, facts: Facts, health: Health, style: Style, stays: boolean): string {
  const { bold, dim, good } = style
  const { addresses } = shown
  const plain = (multiaddr: string): string => multiaddr.replace(/\/p2p\/.*$/, '')
  return [
    stays
      ? `${bold(`fairlead ${shown.version}`)} is up on this machine`
      : `${bold(`fairlead ${shown.version}`)} was brought up on this machine`,
    '',
    `  ${'registry'.padEnd(labelWidth)}${plain(addresses.registry)}`,
    `  ${'peer host'.padEnd(labelWidth)}${plain(addresses.peer)}   ${dim(shown.peerId)}`,
    `  ${'machine tools'.padEnd(labelWidth)}${addresses.machine}`,
    `  ${'gate'.padEnd(labelWidth)}${addresses.gate}   ${dim(`health: ${addresses.health}`)}`,
    '',
    ...dashboardRows(shown, style),
    `${good('A real call went the whole line')}: ${shown.line.join(' → ')}`,
    '',
    ...machineRows(style, facts),
    ...healthRows(style, health),
    '',
    ...hopRows(style, shown.hops, shown.firstAnswerMs),
    '',
    `${bold('For an MCP client on this machine')}, into its configuration:`,
    ...clientRows(shown.client),
    `  or over HTTP: ${shown.http.url}`,
    `  with the bearer token in ${shown.http.tokenFile}`,
    ...(stays ? ['', `${bold('ready')}: Ctrl-C stops it`] : []),
  ].join('\n')
}
