// Gives connectors a new credential: the first one, or one in place of the old one, which ends when the new one is proved to be in use.
import { resolve } from 'node:path'
import { hash } from 'node:crypto'
import { asFault } from '../../kernel/fault.ts'
import { durationMs } from '../../base/config/duration.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { type GateCalls, configFlag, runningGate } from '../client.ts'
import { makeCredential } from '../connector/credentials.ts'
import { handOver } from '../connector/handing-over.ts'
import { fault } from '../faults.ts'

const mostOverlapMs = 86_400_000

export default command({
  summary: 'rotate the credential of connectors: the old one ends when the new one is proved to be in use',
  description:
    'The gate learns its hash only. A connector without a credential gets its first. Otherwise both hold for the overlap: when every connector named here has hand-shaken with the new one, and none uses the old one any more (at the latest when the overlap ends), the old one ends, and the rotation is recorded; without that proof the new one is taken back, and FILE is as it was. Stopped at any moment, it goes on when run again; the gate goes on by itself.',
  args: { connectors: { summary: 'one connector, or several that share the credential', variadic: true } },
  flags: {
    out: { summary: 'the file (0600) in which its holder finds it', value: 'FILE' },
    print: { summary: 'print it once, on a terminal, instead' },
    overlap: { summary: 'how long both hold at most', value: 'DURATION', default: '10m' },
    config: configFlag,
  },
  examples: [
    ['fairlead gate rotate operator_api --out /etc/operator/token', 'its first credential, or a new one in place of the old one'],
    ['fairlead gate rotate operator_api operator_upload crown_handshake --out token --overlap 1h', 'one credential for all three'],
  ],
  async run(context, { args: { connectors }, flags: { out, print, overlap, config } }) {
    const overlapMs = durationMs(overlap)
    if (overlapMs === undefined || overlapMs < 1_000 || overlapMs > mostOverlapMs) throw fault.bad_overlap({})
    if ((out === undefined) !== print) throw fault.needs_out({})
    const { configs } = await import('../../extensions.ts')
    const gate = await runningGate(context, configs, config)
    if (out === undefined) return printed(context, gate, connectors, overlapMs)
    const file = resolve(out)
    const { clock, log, signal, terminal } = context
    const waiting = (): void =>
      terminal.note(`${file} holds the new credential; waiting for a handshake of ${connectors.join(', ')} with it (${overlap} at most)`)
    const { input } = await handOver({ clock, log, gate, signal, waiting }, file, { connectors, overlapMs }).catch((error: unknown) => {
      const { code, cause } = asFault(error)
      throw code === 'steps.undone' ? cause : error // all is as it was: what matters is why
    })
    terminal.result(
      { connectors: input.connectors, file, fingerprint: input.sha256.slice(0, 16) },
      () => `${input.connectors.join(', ')}: ${file} holds the credential`,
    )
  },
})

async function printed({ stdout, terminal }: Context, gate: GateCalls, connectors: readonly string[], overlapMs: number): Promise<void> {
  if (!(stdout as { isTTY?: boolean }).isTTY) throw fault.no_terminal({})
  const credential = makeCredential().reveal()
  await gate['rotate-connectors']({ connectors: [...connectors], sha256: hash('sha256', credential, 'hex'), overlapMs })
  terminal.note('it is shown this once; the gate knows its hash only. See how far it is: fairlead gate connectors')
  terminal.result({ connectors, credential }, () => credential)
}
