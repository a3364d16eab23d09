// Gives a sealed service its password, asked for at the terminal or taken from a file; never in argv.
import { resolve } from 'node:path'
import { resolveCredential } from '../../base/config/credential.ts'
import { askSecret, needPerson } from '../../base/terminal/ask-secret.ts'
import { command } from '../../base/terminal/command.ts'
import { placeOf } from '../cli/definitions.ts'
import { findService } from '../cli/whereabouts.ts'

export default command({
  summary: 'give a sealed service its password',
  description:
    'For components with [components.seal]: they start sealed, and mcp status says so. The password goes to the node and from there to the component, and is kept nowhere.',
  args: { service: { summary: 'SERVICE or SERVICE/COMPONENT' } },
  flags: { 'password-file': { summary: 'a file that holds it and that nobody else can read, instead of the question', value: 'FILE' } },
  examples: [
    ['fairlead run unseal metacrypt', 'asks for the password, which is not shown'],
    ['fairlead run unseal metacrypt --password-file /run/secrets/metacrypt', 'for a script'],
  ],
  async run(context, { args, flags }) {
    const { terminal, env, signal } = context
    const { service, component } = placeOf(args.service)
    const { node } = await findService(context, service)
    const file = flags['password-file']
    if (file === undefined) needPerson(context, 'at a terminal, or: mcp unseal SERVICE --password-file FILE')
    const password =
      file === undefined
        ? await askSecret(context, `password of ${args.service}`)
        : await resolveCredential({ file: resolve(file) }, { env, folder: '' })
    const { unsealed } = await node.client().calls.unseal({ service, component, password: password.reveal() }, { signal })
    terminal.result(
      { node: node.name, service, unsealed },
      () => `${unsealed.map((one) => `${service}/${one}`).join(', ')} on ${node.name}: unsealed`,
    )
  },
})
