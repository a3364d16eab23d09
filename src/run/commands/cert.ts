// The certificate that a node shows: how long it lasts, a new one, or one that a person got from a PKI.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Context, command } from '../../base/terminal/command.ts'
import { agentFiles } from '../agent/files.ts'
import { certificateFacts, certificatePaths, writeCertificate } from '../certs/certificate.ts'
import { certificateIn } from '../certs/pki.ts'
import { fault } from '../cli/faults.ts'
import { openNodes } from '../cli/nodes.ts'
import { ageText } from '../cli/shown.ts'

export default command({
  summary: 'show or renew the certificate of a node, or install one there',
  description:
    'It renews itself at two thirds of its life. `install` is run on the node: it takes the answer of a PKI engine (JSON with certificate and key as PEM), writes certs/cert.pem and certs/key.pem, and the agent takes them within a minute, without a restart.',
  args: {
    action: { summary: 'status, renew or install', choices: ['status', 'renew', 'install'] },
    of: { summary: 'the node; of install: the file with the answer', optional: true },
  },
  flags: {
    route: { summary: 'the certificate of a route with that host name; the node asks for it at once where it has none', value: 'HOSTNAME' },
    config: { summary: "of install: the agent's configuration; certs/ lies beside it", value: 'FILE' },
  },
  examples: [
    ['fairlead run cert status rift', 'how long it lasts'],
    ['fairlead run cert renew rift', 'now; connections go on'],
    ['fairlead run cert renew rift --route web.example.org', 'of a route, after its name was mended, say'],
    ['fairlead run cert install /tmp/cert-response.json --config /srv/mcp/mcp-agent.toml', 'on the node'],
  ],
  async run(context, { args: { action, of }, flags }) {
    const { terminal, clock, signal } = context
    if (action === 'install') return install(context, of, flags.config)
    const node = (await openNodes(context)).one(of)
    const { calls } = node.client()
    const facts = await calls[action === 'renew' ? 'renew-certificate' : 'show-certificate'](
      flags.route === undefined ? {} : { route: flags.route },
      { signal },
    )
    terminal.result({ node: node.name, ...facts }, () =>
      [
        `${node.name}: ${facts.subject}, by ${facts.issuer} (${facts.source})`,
        `  for ${facts.names.join(', ')}`,
        `  until ${new Date(facts.until).toISOString()} ${facts.until <= clock.now() ? '(expired)' : `(in ${ageText(facts.until, clock.now())})`}`,
        `  SHA-256 ${facts.sha256}`,
      ].join('\n'),
    )
  },
})

function install({ terminal, folders }: Context, file: string | undefined, config: string | undefined): void {
  if (file === undefined) throw fault.missing_word({ command: 'cert install', word: 'a file' })
  const folder = config === undefined ? agentFiles({ ...folders, home: '/srv/mcp' }, undefined).certs : agentFiles(folders, config).certs
  const pem = certificateIn(readFileSync(file, 'utf8'))
  writeCertificate(certificatePaths(folder), folder, pem)
  const { subject, until } = certificateFacts(pem.chain)
  terminal.result(
    { path: join(folder, 'cert.pem'), subject, until },
    () => `${join(folder, 'cert.pem')}: ${subject}, until ${new Date(until).toISOString()}`,
  )
}
