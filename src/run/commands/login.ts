// Keeps a token on this machine, after the nodes have said that it is good.
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Context, command } from '../../base/terminal/command.ts'
import { askSecret } from '../../base/terminal/ask-secret.ts'
import { isPersonAt } from '../../base/terminal/confirm.ts'
import { Secret } from '../../kernel/secret.ts'
import { fault } from '../cli/faults.ts'
import type { CliFiles } from '../cli/files.ts'
import { cliSettings, openNodes } from '../cli/nodes.ts'
import { afterSilence, silence } from '../cli/shown.ts'
import { type Granted, keepGranted, signIn } from '../cli/sign-in.ts'

const maxLength = 16_384

export default command({
  summary: 'keep a token for the nodes on this machine',
  description:
    'Asks for the token, which is not shown, or reads one line of what is piped in. It is tried first at every node that is reached over HTTPS (with --node at that one), and kept when one of them lets it in: for that node alone with --node, else for all that have none of their own. With --user it asks for a password instead, and an identity service ([login] in mcp.toml) for the token, which is renewed before it ends.',
  flags: {
    node: { summary: 'for this node alone', value: 'NAME' },
    user: { summary: 'get the token from the identity service, for this name and a password', value: 'NAME' },
  },
  examples: [
    ['fairlead run login', 'asks for the token'],
    ['fairlead run login --user ann', 'asks for the password'],
    ['fairlead run login --node rift', 'for one node; from a file with < token.txt behind it'],
  ],
  async run(context, { flags }) {
    const { terminal } = context
    const nodes = await openNodes(context)
    const asked = (flags.node === undefined ? nodes.all : [nodes.named(flags.node)]).filter(({ address }) => !address.startsWith('unix:'))
    if (asked.length === 0) throw fault.no_need({ nodes: nodes.all.map(({ name }) => name) })
    const { files } = nodes
    const granted = await newToken(context, files, flags.user)
    const { token } = granted
    const answers = await nodes.ask((_client, signal, node) => node.client(token).about(signal), asked)
    if (answers.every((one) => one.fault)) throw answers[0]!.fault
    const file = flags.node === undefined ? files.token : join(files.nodes, `${flags.node}.token`)
    keepGranted(file, granted)
    terminal.result({ file, nodes: answers.map((one) => silence(one) ?? { node: one.node.name, isHeard: true }) }, () => {
      const [good, bad] = [answers.filter((one) => !one.fault), answers.filter((one) => one.fault)].map((list) =>
        list.map(({ node }) => node.name).join(', '),
      )
      return `kept in ${file}; let in by: ${good}${bad === '' ? '' : `; not by: ${bad}`}`
    })
    afterSilence(terminal, answers)
  },
})

/** What the person has, or what the identity service gives for a password. */
async function newToken(context: Context, files: CliFiles, user: string | undefined): Promise<Granted> {
  const { stdin } = context
  const asked = (what: string): Promise<Secret> => (isPersonAt(stdin) ? askSecret(context, what) : firstLineOf(stdin))
  if (user === undefined) return { token: await asked('token'), refresh: undefined, endsAt: undefined }
  const { login } = await cliSettings(files)
  if (!login) throw fault.no_login({ file: files.config })
  return signIn(context, login, files, { user, password: await asked(`password of ${user}`) })
}

async function firstLineOf(stdin: Readable): Promise<Secret> {
  let text = ''
  for await (const part of stdin.setEncoding('utf8')) {
    text += part
    if (text.includes('\n') || text.length > maxLength) break
  }
  const line = text.split('\n')[0]!.trim()
  if (line === '' || line.length > maxLength) throw fault.no_token_given({})
  return new Secret(line)
}
