// Puts the server of a peer into the configuration of an MCP client on this machine, lists what is there, and takes it out again.
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { asFault, faults } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'
import { isPeerId } from '../../base/identity/identity.ts'
import { readWalletCard } from '../../base/identity/wallet.ts'
import { fault as peerFault } from '../../base/peer/fault.ts'
import { type Context, type Input, command } from '../../base/terminal/command.ts'
import { confirm, isPersonAt } from '../../base/terminal/confirm.ts'
import { foldersOf, homeFolder } from '../../base/terminal/folders.ts'
import { launcherOf } from '../../base/terminal/launcher.ts'
import { nearest } from '../../base/terminal/nearest.ts'
import { textDiff } from '../../base/terminal/text-diff.ts'
import { type Change, addition, peerEntries, removal, writeChange } from '../client/file.ts'
import type { ClientKind, ServerCommand } from '../client/kind.ts'
import { findPeer } from '../finding/find-peer.ts'
import { homeFlags, homeOf } from '../home.ts'
import { proxiesOf } from '../../base/peer/proxy.ts'
import { knownRegistries, parseServer } from '../registry/known-registries.ts'
import { askRegistry } from '../registry/lookup.ts'
import { tableText } from '../../base/terminal/table.ts'

const actions = ['add', 'list', 'remove'] as const
type Action = (typeof actions)[number]

const fault = faults('client', {
  unknown_action: (d: { action: string; meant: string | undefined }) => ({
    kind: 'usage',
    message: `fairlead reach client cannot '${d.action}'`,
    hint: d.meant ? `did you mean '${d.meant}'?` : `it can: ${actions.join(', ')}`,
  }),
  unknown_client: (d: { client: string | undefined; known: readonly string[]; meant: string | undefined }) => ({
    kind: 'usage',
    message: d.client === undefined ? 'which client? none was named' : `there is no client '${d.client}'`,
    hint: d.meant ? `did you mean '${d.meant}'?` : `known clients: ${d.known.join(', ')}`,
  }),
  nothing_named: (d: { action: Action; client: string }) => ({
    kind: 'usage',
    message: d.action === 'add' ? 'which peer? none was named' : 'which entry? none was named',
    hint:
      d.action === 'add'
        ? `fairlead reach client add ${d.client} PEER; "fairlead reach peers" lists them`
        : `fairlead reach client list ${d.client}`,
  }),
  bad_name: (d: { name: string }) => ({
    kind: 'usage',
    message: `${JSON.stringify(d.name.slice(0, 80))} is no name that every client takes`,
    hint: 'use 1 to 64 letters, digits, hyphens and underscores: --name NAME',
  }),
  no_file: (d: { title: string; platform: string }) => ({
    kind: 'usage',
    message: `where ${d.title} keeps its configuration on ${d.platform} is not known`,
    hint: 'name the file: --file FILE',
  }),
  no_project: (d: { title: string }) => ({
    kind: 'usage',
    message: `${d.title} reads no configuration from a project`,
    hint: 'leave out --project, or name a file with --file',
  }),
  two_files: () => ({ kind: 'usage', message: 'both --file and --project say which file it is', hint: 'name one of them' }),
  project_absent: (d: { folder: string }) => ({
    kind: 'usage',
    message: `there is no folder ${d.folder}`,
    hint: 'name the folder of the project',
  }),
  unconfirmed: (d: { path: string }) => ({
    kind: 'usage',
    message: `${d.path} was not changed: nobody is at a terminal to say yes`,
    hint: 'say it with --yes, or only look with --dry-run',
  }),
})

const args = {
  action: { summary: 'add, list or remove' },
  client: { summary: 'claude-desktop, claude-code, vscode or cursor', optional: true },
  peer: { summary: 'to add: the whole id, its beginning, or the name of a peer; to remove: the name of the entry', optional: true },
} as const
const flags = {
  server: { value: 'HOST[:PORT]', summary: 'the registry that the client is to ask; else the last one registered with' },
  address: { value: 'MULTIADDR', repeat: true, summary: 'where the peer listens: the registry is not asked then' },
  name: { value: 'NAME', summary: 'of the entry, as the client shows it; made from the name or id of the peer by default' },
  project: { value: 'DIR', summary: 'the file of the project in this folder, instead of your own' },
  file: { value: 'FILE', summary: 'this file, instead of the one that the client reads by itself' },
  force: { summary: 'replace an entry of the same name; remove one that does not lead to a peer' },
  yes: { summary: 'write without asking: needed where nobody is at a terminal' },
  'dry-run': { summary: 'only show what would be written' },
  ...homeFlags,
} as const
type Asked = Input<typeof args, typeof flags>

export default command({
  summary: "put a peer's server into the configuration of an MCP client",
  description:
    'The client then starts "fairlead reach mcp-connect PEER" by itself. The command and the change to the file are shown first. Everything else in the file, comments included, stays as it is.',
  args,
  flags,
  examples: [
    ['fairlead reach client add claude-desktop LinuxBox --server registry.example.org', "Claude Desktop gets LinuxBox's server"],
    [
      'fairlead reach client add vscode LinuxBox --project . --name files --dry-run',
      'what a line in .vscode/mcp.json of this project would look like',
    ],
    ['fairlead reach client list', 'which clients on this machine lead to which peers'],
    ['fairlead reach client remove claude-desktop linuxbox', 'takes the entry out again'],
  ],
  async run(context, input) {
    const { action } = input.args
    const known = actions.find((name) => name === action)
    if (!known) throw fault.unknown_action({ action, meant: nearest(action, actions) })
    const kinds = await clientKinds()
    if (known === 'list') return list(context, kinds, input)
    const client = clientOf(kinds, input.args.client)
    const named = input.args.peer ?? (known === 'remove' ? input.flags.name : undefined)
    if (named === undefined) throw fault.nothing_named({ action: known, client: client.name })
    return known === 'add' ? add(context, client, named, input) : remove(context, client, named, input)
  },
})

type Client = { readonly name: string; readonly kind: ClientKind }

async function clientKinds(): Promise<Client[]> {
  const { clients } = await import('../../extensions.ts')
  return Promise.all(clients.map(async ({ name, load }) => ({ name, kind: (await load()).default })))
}

function clientOf(kinds: readonly Client[], named: string | undefined): Client {
  const known = kinds.map(({ name }) => name)
  const found = kinds.find(({ name }) => name === named)
  if (!found) throw fault.unknown_client({ client: named, known, meant: named === undefined ? undefined : nearest(named, known) })
  return found
}

function fileOf({ env }: Context, kind: ClientKind, { file, project }: Asked['flags']): string | undefined {
  if (file !== undefined && project !== undefined) throw fault.two_files({})
  if (file !== undefined) return resolve(file)
  if (project === undefined) {
    const home = homeFolder(env, homedir)
    const config = env['XDG_CONFIG_HOME']?.startsWith('/') ? env['XDG_CONFIG_HOME'] : join(home, '.config')
    return kind.own({ platform: process.platform, home, config })
  }
  const folder = resolve(project)
  if (kind.project === undefined) throw fault.no_project({ title: kind.title })
  if (!statOf(folder)?.isDirectory()) throw fault.project_absent({ folder })
  return join(folder, kind.project)
}

function changedFileOf(context: Context, kind: ClientKind, flags: Asked['flags']): string {
  const path = fileOf(context, kind, flags)
  if (path === undefined) throw fault.no_file({ title: kind.title, platform: process.platform })
  return path
}

async function add(context: Context, client: Client, text: string, { flags }: Asked): Promise<number | void> {
  const { terminal } = context
  const { kind } = client
  const path = changedFileOf(context, kind, flags)
  await checkPlaces(flags)
  const peer = await peerOf(context, text, flags)
  const name = flags.name ?? (peer.name === undefined ? `fairlead-${peer.id.slice(-6)}` : nameFrom(peer.name))
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) throw fault.bad_name({ name })
  const server = serverCommand(context, peer.id, flags)
  const change = addition({ path, root: kind.root, name }, kind.entry(server), flags.force)
  const words = [server.command, ...server.args]
  const card = readWalletCard(homeOf(context, flags).wallet)
  if (!card) terminal.note('there is no identity yet, without which it cannot connect: fairlead reach init --name "<Role>"')
  else if (card.isSealed && flags['passphrase-file'] === undefined)
    terminal.note('the wallet is sealed, and the client cannot ask for its passphrase: name --passphrase-file')
  const variables = wayOut.filter((variable) => context.env[variable] || context.env[variable.toLowerCase()])
  if (variables.length > 0)
    terminal.note(`${variables.join(', ')} of this environment may not be in the client's: put it under "env" of the entry`)
  return carryOut(context, client, { change, name, words }, flags)
}

/** What a strict network needs (docs/guide/strict-networks.md); it may hold a password, so that nobody but the person copies it. */
const wayOut = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'NODE_EXTRA_CA_CERTS']

/** What is wrong is said now, and not by a client that shows it to nobody. */
async function checkPlaces({ server, address: addresses }: Asked['flags']): Promise<void> {
  if (server !== undefined) parseServer(server)
  if (addresses.length === 0) return
  const { parseAddress } = await import('../../base/peer/libp2p.ts')
  for (const address of addresses) {
    const problem = parseAddress(address)
    if (problem !== undefined) throw peerFault.bad_address({ address, problem })
  }
}

/** A whole id is taken as it is. A name is asked about now, and its id written: whoever takes that name later gets no calls. */
async function peerOf(context: Context, text: string, flags: Asked['flags']): Promise<{ id: string; name: string | undefined }> {
  if (isPeerId(text)) return { id: text, name: undefined }
  const { env, clock, log, signal } = context
  const known = knownRegistries(homeOf(context, flags).registries)
  const needs = { clock, log, known, proxyFor: proxiesOf(env) }
  const found = await askRegistry(needs, known.choose(flags.server), (registry) => findPeer(registry, text), signal)
  return { id: found.peerId, name: found.name }
}

function nameFrom(peer: string): string {
  const name = peer
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9_]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return name.toLowerCase() || 'fairlead-peer'
}

/** What the client has to start. It knows nothing of this shell, so that folders which follow from more than HOME are named. */
function serverCommand(context: Context, peer: string, flags: Asked['flags']): ServerCommand {
  const usual = join(foldersOf({}, homeFolder(context.env, homedir), false).state, 'reach')
  const home = resolve(homeOf(context, flags).folder)
  const passphrase = flags['passphrase-file']
  return {
    command: launcherOf(context.self),
    args: [
      'reach',
      'mcp-connect',
      peer,
      ...(flags.server === undefined ? [] : ['--server', flags.server]),
      ...flags.address.flatMap((address) => ['--address', address]),
      ...(home === usual ? [] : ['--home', home]),
      ...(passphrase === undefined ? [] : ['--passphrase-file', resolve(passphrase)]),
    ],
  }
}

async function remove(context: Context, client: Client, name: string, { flags }: Asked): Promise<number | void> {
  const path = changedFileOf(context, client.kind, flags)
  return carryOut(context, client, { change: removal({ path, root: client.kind.root, name }, flags.force), name }, flags)
}

type Planned = { readonly change: Change; readonly name: string; readonly words?: readonly string[] }

/** Shows, asks, writes. The exit code is 1 when the person said no. */
async function carryOut(
  context: Context,
  { name: client, kind }: Client,
  { change, name, words }: Planned,
  flags: Asked['flags'],
): Promise<number | void> {
  const { terminal, stdin } = context
  const diff = change.change === 'none' ? '' : textDiff(change.path, change.before, change.after)
  const shown = [...(words ? [`${kind.title} will run: ${words.map(quoted).join(' ')}`, ''] : []), diff].join('\n')
  const result = { client, file: change.path, name, change: change.change, ...(words ? { command: words } : {}), diff }
  if (change.change === 'none') {
    terminal.result({ ...result, written: false }, () => `${change.path} has exactly this entry already`)
    return
  }
  if (flags['dry-run']) {
    terminal.result({ ...result, written: false }, () => shown)
    return
  }
  if (flags.yes) terminal.note(shown)
  else if (!isPersonAt(stdin)) {
    terminal.note(shown)
    throw fault.unconfirmed({ path: change.path })
  } else if (!(await confirm(context, `${shown}\n\nWrite this to ${change.path}?`))) {
    terminal.result({ ...result, written: false }, () => 'nothing was written')
    return 1
  }
  writeChange(change, flags.project !== undefined)
  terminal.result({ ...result, written: true }, () => `"${name}" was ${change.change} (${change.path})\nnow: ${kind.afterwards}`)
}

/** A word as a shell would take it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

function list(context: Context, kinds: readonly Client[], { args, flags }: Asked): number | void {
  const { terminal } = context
  const asked = args.client === undefined ? kinds : [clientOf(kinds, args.client)]
  const problems: string[] = []
  const entries = asked.flatMap(({ name: client, kind }) => {
    try {
      const isOther = args.client === undefined && flags.project !== undefined && kind.project === undefined
      const file = isOther ? undefined : fileOf(context, kind, flags)
      return file === undefined ? [] : peerEntries(file, kind.root).map((entry) => ({ client, file, ...entry }))
    } catch (error) {
      const { kind: why, message } = asFault(error)
      if (why !== 'conflict') throw error
      problems.push(message)
      return []
    }
  })
  for (const problem of problems) terminal.note(problem)
  terminal.result({ entries, problems }, () => {
    if (entries.length === 0) return 'no client leads to a peer'
    const rows = entries.map(({ client, name, peer, file }) => [client, name, peer, file])
    return tableText([['CLIENT', 'NAME', 'PEER', 'FILE'], ...rows])
  })
  return problems.length > 0 ? 1 : undefined
}
