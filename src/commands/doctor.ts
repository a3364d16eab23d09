// Everything that can be asked of this machine, in turn: how it stands, and each capability's own doctor, with what to do about what is found.
import { PassThrough, Readable } from 'node:stream'
import { type Finding, bad, unknown } from '../base/checks/check.ts'
import { exitCodeOf, findingsText } from '../base/checks/report.ts'
import { type StatusSection, lookAround } from '../base/checks/status.ts'
import { type CommandEntry, type Context, command } from '../base/terminal/command.ts'
import { parse } from '../base/terminal/parse.ts'
import type { Terminal } from '../base/terminal/terminal.ts'
import { asFault } from '../kernel/fault.ts'

/** A finding, with the capability that it is about. */
type Told = Finding & { readonly capability: string }

export default command({
  summary: 'find out what is wrong on this machine, capability by capability',
  description:
    'First the configuration and what `fairlead status` sees, then the doctor of each capability that is used here (such as fairlead reach doctor), which looks deeper and takes its time. Nothing is changed. Exit code 0: all is good; 3: something was found, and below it stands what to do.',
  examples: [
    ['fairlead doctor', 'a line for each finding, and below it what to do'],
    ['fairlead doctor --json', 'the same for a program'],
  ],
  async run(context) {
    const { terminal } = context
    const { commands, configs, statuses } = await import('../extensions.ts')
    terminal.progress('reading the configuration')
    const { loadMachineConfig } = await import('../base/config/machine.ts')
    const config = await loadMachineConfig(configs, context.folders.config).then(
      ({ path }): Told => ({ capability: 'config', name: 'config', verdict: 'good', evidence: `${path} is in order` }),
      (error: unknown): Told => ({ capability: 'config', ...faultFinding('config', error) }),
    )
    terminal.progress('looking around')
    const status = await lookAround(context, statuses)
    const findings: Told[] = [config]
    for (const section of status.sections.filter(({ standing }) => standing !== 'off')) {
      const doctor = commands.find(({ path }) => path.length === 2 && path[0] === section.name && path[1] === 'doctor')
      const deeper = doctor ? await askedDoctor(context, doctor) : []
      findings.push(...[...seen(section, deeper), ...deeper].map((finding) => ({ capability: section.name, ...finding })))
    }
    terminal.done()
    const exitCode = exitCodeOf(findings)
    const unused = status.sections.filter(({ standing }) => standing === 'off').map(({ name }) => name)
    terminal.result({ isGood: exitCode === 0, findings, unused }, () => text(findings, unused, terminal.style))
    return exitCode
  },
})

/** The lines as findings, without what is off, and what the capability's own doctor tells better: what is good, and what it says itself. */
function seen({ lines }: StatusSection, deeper: readonly Finding[]): readonly Finding[] {
  const told = new Set(deeper.map(({ evidence }) => evidence))
  return lines.flatMap(({ name, standing, text: evidence, remedy }): readonly Finding[] => {
    if (standing === 'off' || told.has(evidence) || (standing === 'good' && deeper.length > 0)) return []
    return [{ name, verdict: standing, evidence, ...(remedy === undefined || standing === 'good' ? {} : { remedy }) }]
  })
}

/** Has the command look, with nothing asked of it, and keeps what it would have printed. */
async function askedDoctor(context: Context, { path, load }: CommandEntry): Promise<readonly Finding[]> {
  const name = path.join(' ')
  const { default: doctor } = await load()
  const parsed = parse(`fairlead ${name}`, doctor, [])
  if (parsed.is !== 'input') return [{ name, ...unknown('it cannot be asked without arguments') }]
  let told: { readonly findings?: readonly Finding[] } = {}
  const keeping: Terminal = { ...context.terminal, result: (object) => void (told = object as typeof told), note() {}, done() {} }
  try {
    await doctor.run({ ...quiet(context), terminal: keeping }, parsed.input)
    return told.findings ?? []
  } catch (error) {
    context.signal.throwIfAborted()
    return [faultFinding(name, error)]
  }
}

/** All but its streams: nobody is asked for anything, and what is printed goes through the terminal. */
function quiet({ env, log, clock, folders, homes, version, signal, onReload, peers, self }: Context): Omit<Context, 'terminal'> {
  return { env, log, clock, folders, homes, version, signal, onReload, peers, self, stdin: Readable.from([]), stdout: new PassThrough() }
}

function faultFinding(name: string, error: unknown): Finding {
  const { kind, message, hint } = asFault(error)
  return { name, ...(kind === 'bug' ? unknown(message, hint) : bad(message, hint)) }
}

function text(findings: readonly Told[], unused: readonly string[], style: Terminal['style']): string {
  const named = findings.map(({ capability, name, ...finding }) => ({
    ...finding,
    name: capability === name ? name : `${capability}: ${name}`,
  }))
  const off = unused.length === 0 ? '' : `\n${style.dim(`not used here, and not asked: ${unused.join(', ')}`)}`
  return `${findingsText(named, style)}${off}`
}
