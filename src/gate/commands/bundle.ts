// The incident bundle: made for an incident, or verified by whoever was given one.
import { join, resolve } from 'node:path'
import { asFault } from '../../kernel/fault.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { fault } from '../faults.ts'
import { makeBundle, verifyBundle } from '../holder/bundle.ts'
import { doctrineOf } from '../holder/doctrine.ts'
import { liveEvidence } from '../holder/live.ts'
import { examinationOf, openStage } from '../holder/stage.ts'
import { configFlag } from '../client.ts'

export default command({
  summary: 'bundle receipts, rotation ledger and findings for an incident, or verify such a bundle',
  description:
    'Every file has its hash in the manifest (sha256sum -c SHA256SUMS checks them, too), and the manifest its own in the ledger of receipts. No credential is in it. Exit code of --verify 0: it is what it was; 1: it is not.',
  args: { incident: { summary: 'its name, such as INC-7', optional: true } },
  flags: { verify: { summary: 'verify the bundle in this folder instead', value: 'DIR' }, config: configFlag },
  examples: [
    ['fairlead gate bundle INC-7', 'keep what there is, and how things stand now'],
    ['fairlead gate bundle --verify ./20250117T220005Z-INC-7', 'is it what it was?'],
  ],
  async run(context, { args: { incident }, flags: { verify: folder, config } }) {
    if ((incident === undefined) === (folder === undefined)) throw fault.bundle_what({})
    return folder === undefined ? make(context, incident!, config) : verify(context, resolve(folder))
  },
})

async function make(context: Context, incident: string, config: string | undefined): Promise<void> {
  if (!/^[A-Za-z0-9][\w-]{0,63}$/.test(incident)) throw fault.bundle_what({})
  const { clock, log, signal, terminal } = context
  await using stage = await openStage(context, await import('../../extensions.ts'), { config, instance: 'bundle' })
  const { checks, gateway, tokens, gate, logs } = stage
  const findings = await doctrineOf({ checks, examination: examinationOf(context, stage) }, { clock, signal })
  // A gate that does not answer is often what the incident is about.
  const live = await liveEvidence({ gateway }, { tokens, gate }).then(
    ({ connectors, health }) => ({ connectors: [...connectors.values()], health }),
    (error: unknown) => ({ error: asFault(error) }),
  )
  const { file, sha256 } = await makeBundle(
    { clock, log },
    { logs, tokens, incident, answers: { 'doctrine.json': { findings }, 'gate.json': live } },
  )
  const path = join(logs, file, '..')
  terminal.result({ folder: path, manifest_sha256: sha256 }, () => `${path} (manifest sha256 ${sha256})`)
}

async function verify({ terminal, signal }: Context, folder: string): Promise<number> {
  const verdict = await verifyBundle(folder, signal)
  const { intact, files, manifest_sha256: sha256, rotation_ledger: ledger, problems } = verdict
  terminal.result(verdict, () =>
    [
      `${intact ? 'intact' : 'not intact'}: ${files} files, ${ledger.entries} lines of the rotation ledger; manifest sha256 ${sha256}`,
      ...problems.map(({ file, problem }) => `  ${file}: ${problem}`),
    ].join('\n'),
  )
  return intact ? 0 : 1
}
