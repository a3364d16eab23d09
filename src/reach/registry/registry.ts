// The registry as a whole: its own identity and its records in one folder, its door on one port, where it is the relay for those it knows, too.
import { join } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import { makeFolder } from '../../kernel/file.ts'
import type { Log } from '../../kernel/log.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { OpenShared } from '../../base/cluster/open.ts'
import { type Wallet, createWallet, loadWallet, readWalletCard } from '../../base/identity/wallet.ts'
import { openSqliteKv } from '../../base/kv/sqlite.ts'
import { createPeerHost } from '../../base/peer/host/host.ts'
import { type ProxyFor, noProxy } from '../../base/peer/proxy.ts'
import type { RelayRules } from '../../base/peer/relay/server.ts'
import { knownAddresses } from '../finding/known-addresses.ts'
import { type MailboxServerSettings, serveMailboxes } from '../mailbox/server.ts'
import { openMailboxes } from '../mailbox/mailboxes.ts'
import { openRegistryBook } from './book.ts'
import { keepStatements } from './kept-statements.ts'
import { registryStatements } from './statements.ts'
import { type RegistryServerSettings, serveRegistry } from './server.ts'

/** How much is relayed at once, for those who are registered; false: nothing. See `RelayRules`. */
export type RelaySettings = Omit<RelayRules, 'mayReserve'> | false

export type RegistrySettings = RegistryServerSettings & {
  /** Holds `wallet.json`, made when it is not there, `registry.db` and `mailboxes.db`. With a cluster, `registry.db` is a copy of the statements. */
  readonly folder: string
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly announce?: readonly string[]
  readonly passphrase?: Secret | undefined
  readonly maxRecords?: number
  readonly relay?: RelaySettings
  readonly mailbox?: MailboxSettings
  /** Whether it takes part in the distributed hash table, as the place where others begin. */
  readonly isDhtNode?: boolean
}

export type MailboxSettings = MailboxServerSettings & {
  /** How long an item is kept: 7 days by default, and at most. */
  readonly keepMs?: number
  /** Of all items together: 256 MiB by default; 0 for no mailboxes. */
  readonly maxBytes?: number
}

export interface Registry {
  readonly peerId: string
  addresses(): readonly string[]
  close(): Promise<void>
}

/** What a registry runs with; `proxyFor` as in `createPeerHost`. With `openShared` its cards and statements are one with those of the others in the cluster. */
export type RegistryNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly proxyFor?: ProxyFor
  readonly openShared?: OpenShared | undefined
}

/** Starts a registry; faults of the wallet, the store, the cluster and `createPeerHost`. */
export async function startRegistry(needs: RegistryNeeds, settings: RegistrySettings): Promise<Registry> {
  const { clock, log, proxyFor = noProxy, openShared } = needs
  const { folder, listen, announce, passphrase, maxRecords, mailbox = {}, relay, isDhtNode = false, ...served } = settings
  await using starting = new AsyncDisposableStack()
  makeFolder(folder)
  const { identity } = await ownWallet(join(folder, 'wallet.json'), passphrase)
  const own = starting.adopt(openSqliteKv({ path: join(folder, 'registry.db'), clock, log }), (kv) => kv.close())
  const kv = openShared ? starting.adopt(await openShared({ part: 'registry' }), (kv) => kv.close()) : own
  const book = starting.adopt(
    await openRegistryBook({ bucket: kv.bucket('peer-cards'), clock, log }, maxRecords === undefined ? {} : { maxRecords }),
    (book) => book.close(),
  )
  const isRegistered = (peerId: string): boolean => book.lookup(peerId, 1)[0]?.card.peerId === peerId
  const mailboxes =
    mailbox.maxBytes === 0
      ? undefined
      : starting.adopt(openMailboxes({ clock, log, isRegistered }, { path: join(folder, 'mailboxes.db'), ...mailbox }), (open) =>
          open.close(),
        )
  const host = starting.adopt(
    await createPeerHost({ identity, clock, log, proxyFor }, { listen, ...(announce ? { announce } : {}) }),
    (host) => host.close(),
  )
  const bucket = kv.bucket('key-statements')
  const statements = registryStatements({ bucket, clock, log })
  if (kv !== own) {
    const stop = new AbortController()
    starting.defer(() => stop.abort())
    await keepStatements({ shared: bucket, own: own.bucket('key-statements'), statements, log }, stop.signal)
  }
  serveRegistry({ host, book, statements, clock, log }, served)
  if (mailboxes) serveMailboxes({ host, mailboxes, mustSpeak: (peerId) => statements.mustSpeak(peerId), clock, log }, mailbox)
  // a place for whoever signed a card that holds; who may dial is for those to decide who are dialled
  if (relay !== false) await host.relay({ ...relay, mayReserve: isRegistered })
  if (isDhtNode) {
    const { startKadNode } = await import('../kad/node.ts')
    const nodes = knownAddresses(join(folder, 'nodes.json'))
    starting.adopt(startKadNode({ identity, host, nodes, clock, log }, { name: 'registry', bootstrap: [] }), (node) => node.close())
  }
  const running = starting.move()
  return { peerId: host.peerId, addresses: () => host.addresses(), close: () => running.disposeAsync() }
}

async function ownWallet(path: string, passphrase: Secret | undefined): Promise<Wallet> {
  return readWalletCard(path)
    ? loadWallet(path, { passphrase })
    : createWallet(path, { name: 'registry', ...(passphrase ? { passphrase } : {}) })
}
