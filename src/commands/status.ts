// How everything on this machine stands, on one screen: all five capabilities, asked at once, each thing that is wrong with what to do about it.
import { type Status, lookAround } from '../base/checks/status.ts'
import { type Context, command } from '../base/terminal/command.ts'
import { statusText } from './status/text.ts'

/** A check ran and found something. */
const foundExitCode = 3
const everyMs = 2_000

export default command({
  summary: 'how everything on this machine stands, on one screen',
  description:
    'The daemons that run here are asked, and the nodes that mcp.toml names; who does not answer is not waited for longer than 0.7 s. A daemon that does not run is said to be off, which is no failure. Exit code 0: nothing is wrong; 3: something is, and the line says what to do.',
  flags: { watch: { summary: 'look again every two seconds, until stopped' } },
  examples: [
    ['fairlead status', 'machine, peers, services, cache and gate, and what went wrong lately'],
    ['fairlead status --watch', 'the same, kept up to date'],
    ['fairlead status --json', 'the same for a program'],
  ],
  async run(context, { flags }) {
    const { statuses } = await import('../extensions.ts')
    const look = (): Promise<Status> => lookAround(context, statuses)
    if (flags.watch) return watch(context, look)
    const status = await look()
    context.terminal.result(status, () => statusText(status, context.terminal.style))
    return exitCodeOf(status)
  },
})

/** Ends by the last look. */
async function watch({ terminal, clock, signal }: Context, look: () => Promise<Status>): Promise<number> {
  let exitCode = 0
  for (;;) {
    try {
      const status = await look()
      exitCode = exitCodeOf(status)
      terminal.screen(status, () => statusText(status, terminal.style))
      await clock.wait(everyMs, signal)
    } catch (error) {
      if (!signal.aborted) throw error
      return exitCode
    }
  }
}

function exitCodeOf({ standing }: Status): number {
  return standing === 'bad' || standing === 'unknown' ? foundExitCode : 0
}
