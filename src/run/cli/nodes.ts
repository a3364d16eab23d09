// The nodes of `mcp.toml`: found by name, asked all at once, each within a time.
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { credentialInFile } from '../../base/config/credential-file.ts'
import { loadConfig } from '../../base/config/config.ts'
import type { Context } from '../../base/terminal/command.ts'
import { deadline } from '../../kernel/clock.ts'
import { type Fault, asFault } from '../../kernel/fault.ts'
import { readText, statOf } from '../../kernel/file.ts'
import type { Secret } from '../../kernel/secret.ts'
import { type NodeClient, addressOf, nodeClient } from '../client.ts'
import { type CliSettings, type NodeEntry, cliFile } from './config.ts'
import { fault } from './faults.ts'
import { type CliFiles, cliFiles } from './files.ts'
import { openHeard } from './heard.ts'
import { renewGranted } from './sign-in.ts'

export type KnownNode = NodeEntry & {
  /** Nothing is opened before it is called. Without `bearer` the token that is kept for it is shown. Faults `mcp.bad_address`, `.no_authority`, `credential.*`. */
  client(bearer?: Secret): NodeClient
}

/** What a person sees is not waited for longer than this. */
const patienceMs = 3_000

/** Answered, or a reason and when it last did (ms since 1970; undefined: never). */
export type Asked<Value> = { readonly node: KnownNode } & (
  | { readonly value: Value; readonly fault?: undefined }
  | { readonly value?: undefined; readonly fault: Fault; readonly heardAt: number | undefined }
)

export class Nodes {
  readonly all: readonly KnownNode[]
  readonly files: CliFiles
  readonly #context: Pick<Context, 'clock' | 'signal' | 'peers'>

  constructor(context: Pick<Context, 'clock' | 'signal' | 'peers'>, files: CliFiles, entries: readonly NodeEntry[]) {
    this.#context = context
    this.files = files
    this.all = entries.map((entry) => ({ ...entry, client: (bearer) => clientOf(context, entry, files, bearer) }))
  }

  /** Fault `mcp.no_node`. */
  named(name: string): KnownNode {
    const found = this.all.find((node) => node.name === name)
    if (!found) throw fault.no_node({ name, known: this.all.map((node) => node.name) })
    return found
  }

  /** The one that was named, or the only one. Faults `mcp.no_node`, `.which_node`. */
  one(name: string | undefined): KnownNode {
    if (name !== undefined) return this.named(name)
    const [only, ...more] = this.all
    if (more.length > 0) throw fault.which_node({ known: this.all.map((node) => node.name) })
    return only!
  }

  /** Asks all of them at once, for so long; none holds up the others. */
  async ask<Value>(
    ask: (client: NodeClient, signal: AbortSignal, node: KnownNode) => Promise<Value>,
    of = this.all,
    withinMs = patienceMs,
  ): Promise<readonly Asked<Value>[]> {
    const { clock, signal } = this.#context
    const heard = openHeard({ clock }, this.files.heard)
    const answers = await Promise.all(
      of.map(async (node): Promise<Asked<Value>> => {
        const late = deadline(clock, withinMs, signal)
        try {
          const value = await ask(node.client(), late, node)
          heard.note(node.name)
          return { node, value }
        } catch (error) {
          signal.throwIfAborted()
          const known = late.aborted ? fault.late({ node: node.name, patienceMs: withinMs }) : asFault(error)
          if (known.kind === 'bug') throw error
          return { node, fault: known, heardAt: heard.at(node.name) }
        }
      }),
    )
    heard.save()
    return answers
  }
}

type NodesContext = Pick<Context, 'folders' | 'alias' | 'clock' | 'signal' | 'peers'>

/** The nodes that a command works on, with a token that lasts: one that was granted is renewed when it is due. Faults `config.*`, `mcp.no_nodes`. */
export async function openNodes(context: NodesContext): Promise<Nodes> {
  const files = cliFiles(context)
  await renewGranted(context, (await cliSettings(files)).login, files)
  const nodes = await knownNodes(context)
  if (nodes.all.length === 0) throw fault.no_nodes({ file: files.config })
  return nodes
}

/** Those of `mcp.toml`, else the agent of this machine, if there is one. Nobody is asked for anything. Faults `config.*`. */
export async function knownNodes(context: NodesContext): Promise<Nodes> {
  const files = cliFiles(context)
  const entries = await nodeEntries(files)
  const isHere = entries.length === 0 && statOf(join(files.local, 'change.sock')) !== undefined
  const here = { name: hostname().split('.')[0]!.toLowerCase(), address: `unix:${files.local}` }
  return new Nodes(context, files, isHere ? [here] : entries)
}

/** As `mcp.toml` lists them. Faults `config.*`. */
export async function nodeEntries(files: CliFiles): Promise<readonly NodeEntry[]> {
  return (await cliSettings(files)).nodes
}

/** What `mcp.toml` says. Faults `config.*`. */
export async function cliSettings({ config }: CliFiles): Promise<CliSettings> {
  return (await loadConfig({ schema: cliFile, path: config, isOptional: true })).value
}

/** The token for a node: its own, or the one for all. Fault `credential.*` for a file that others may read. */
function keptToken({ nodes, token }: CliFiles, node: string): Secret | undefined {
  const file = [join(nodes, `${node}.token`), token].find((one) => statOf(one))
  return file === undefined ? undefined : credentialInFile(file)
}

function clientOf(
  { peers }: Pick<Context, 'peers'>,
  { name, address, ca, identity }: NodeEntry,
  files: CliFiles,
  given?: Secret,
): NodeClient {
  const where = addressOf(address)
  if (!where) throw fault.bad_address({ address })
  if (where.is === 'unix') return nodeClient(where)
  if (where.is === 'peer') return nodeClient(where, { dial: { peers, identity: identity && resolve(files.folder, identity) } })
  const file = ca === undefined ? '' : resolve(files.folder, ca)
  const authority = file === '' ? undefined : readText(file)
  if (authority === undefined) throw fault.no_authority({ node: name, file })
  return nodeClient(where, { authority, bearer: given ?? keptToken(files, name) })
}
