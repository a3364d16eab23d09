// Adds a node to `mcp.toml` and takes it out, with all else in the file as it is; what is believed of it is pinned first.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { addTable, removeTable, tomlString } from '../../base/config/toml-edit.ts'
import { shownAuthority } from '../../base/control/https-way.ts'
import type { Context } from '../../base/terminal/command.ts'
import { confirm, isPersonAt } from '../../base/terminal/confirm.ts'
import { deadline } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/fault.ts'
import { makeFolder, readText, removeFile, writeWhole } from '../../kernel/file.ts'
import { addressOf } from '../client.ts'
import { name as nodeName } from '../service/config.ts'
import { fault } from './faults.ts'
import { type CliFiles, cliFiles } from './files.ts'
import { nodeEntries } from './nodes.ts'

const patienceMs = 10_000

export type NewNode = {
  readonly name: string
  readonly address: string
  readonly authority: string | undefined
  readonly fingerprint: string | undefined
}

/** Faults `mcp.node_taken`, `.bad_address`, `.not_pinned`, `.other_fingerprint`, `.unreachable`, `config.*`. */
export async function addNode(
  context: Context,
  { name, address, ...wanted }: NewNode,
): Promise<{ readonly name: string; readonly address: string; readonly fingerprint: string | null }> {
  const files = cliFiles(context)
  const where = addressOf(address)
  if (!where) throw fault.bad_address({ address })
  if (!nodeName.safeParse(name).success) throw fault.bad_name({ name })
  const taken = (await nodeEntries(files)).find((one) => one.name === name)
  if (taken) throw fault.node_taken({ name, address: taken.address })
  const pinned = where.is === 'https' ? await authorityOf(context, { name, address, ...wanted }, where) : undefined
  makeFolder(files.nodes)
  const ca = join('nodes', `${name}.pem`)
  if (pinned) writeWhole(join(files.folder, ca), pinned.pem)
  const entry = { name: tomlString(name), address: tomlString(address), ...(pinned ? { ca: tomlString(ca) } : {}) }
  writeWhole(files.config, addTable(readText(files.config) ?? '', 'nodes', entry))
  return { name, address, fingerprint: pinned?.fingerprint ?? null }
}

/** Faults `mcp.no_node`, `config.*`. */
export async function removeNode(files: CliFiles, name: string): Promise<void> {
  const entries = await nodeEntries(files)
  const index = entries.findIndex((one) => one.name === name)
  if (index < 0) throw fault.no_node({ name, known: entries.map((one) => one.name) })
  writeWhole(files.config, await removeTable(readText(files.config)!, 'nodes', index))
  removeFile(join(files.nodes, `${name}.pem`))
  removeFile(join(files.nodes, `${name}.token`))
}

type Pinned = { readonly pem: string; readonly fingerprint: string }

async function authorityOf(
  context: Context,
  { name, address, authority, fingerprint: wanted }: NewNode,
  where: { readonly host: string; readonly port: number },
): Promise<Pinned> {
  if (authority !== undefined) return authorityIn(authority)
  const { clock, signal, terminal, stdin } = context
  const shown = await shownAuthority(where, deadline(clock, patienceMs, signal)).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : fault.unreachable({ address, reason: reasonOf(error) }, error)
  })
  const { fingerprint, isAuthority } = shown
  if (wanted !== undefined) {
    if (plain(wanted) !== plain(fingerprint)) throw fault.other_fingerprint({ address, shown: fingerprint, wanted })
    return shown
  }
  if (!isPersonAt(stdin)) throw fault.not_pinned({ name, address, fingerprint })
  terminal.log(
    `${address} shows ${isAuthority ? 'this certificate authority' : 'this certificate, and no authority: it must be pinned again when it is renewed'}:\n  ${fingerprint}`,
  )
  terminal.log('To compare, on the node: openssl x509 -in /srv/mcp/certs/ca.pem -noout -fingerprint -sha256')
  if (!(await confirm(context, `Is it the one of ${name}?`))) throw fault.not_pinned({ name, address, fingerprint })
  return shown
}

function authorityIn(file: string): Pinned {
  const pem = readText(file)
  if (pem === undefined) throw fault.bad_authority({ file, reason: 'it is not there' })
  try {
    return { pem, fingerprint: new X509Certificate(pem).fingerprint256 }
  } catch (error) {
    throw fault.bad_authority({ file, reason: 'it is no certificate (PEM)' }, error)
  }
}

function plain(fingerprint: string): string {
  return fingerprint
    .replace(/^sha256[:=]/i, '')
    .replaceAll(/[^0-9a-f]/gi, '')
    .toUpperCase()
}
