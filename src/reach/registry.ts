// The registry as a whole: its own identity and its records in one folder, its door on one port.
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { makeFolder } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import type { Secret } from '../kernel/secret.ts'
import { type Wallet, createWallet, loadWallet, readWalletCard } from '../base/identity/wallet.ts'
import { openSqliteKv } from '../base/kv/sqlite.ts'
import { createPeerHost } from '../base/peer/host.ts'
import { openRegistryBook } from './registry-book.ts'
import { registryStatements } from './registry-statements.ts'
import { type RegistryServerSettings, serveRegistry } from './registry-server.ts'

export type RegistrySettings = RegistryServerSettings & {
  /** Holds `wallet.json`, made when it is not there, and `registry.db`. */
  readonly folder: string
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly announce?: readonly string[]
  readonly passphrase?: Secret | undefined
  readonly maxRecords?: number
}

export interface Registry {
  readonly peerId: string
  addresses(): readonly string[]
  close(): Promise<void>
}

/** Starts a registry; faults of the wallet, the store and `createPeerHost`. */
export async function startRegistry({ clock, log }: { clock: Clock; log: Log }, settings: RegistrySettings): Promise<Registry> {
  const { folder, listen, announce, passphrase, maxRecords, ...served } = settings
  await using starting = new AsyncDisposableStack()
  makeFolder(folder)
  const { identity } = await ownWallet(join(folder, 'wallet.json'), passphrase)
  const kv = starting.adopt(openSqliteKv({ path: join(folder, 'registry.db'), clock, log }), (kv) => kv.close())
  const book = starting.adopt(
    await openRegistryBook({ bucket: kv.bucket('peer-cards'), clock, log }, maxRecords === undefined ? {} : { maxRecords }),
    (book) => book.close(),
  )
  const host = starting.adopt(await createPeerHost({ identity, clock, log }, { listen, ...(announce ? { announce } : {}) }), (host) =>
    host.close(),
  )
  const statements = registryStatements({ bucket: kv.bucket('key-statements'), clock, log })
  serveRegistry({ host, book, statements, clock, log }, served)
  const running = starting.move()
  return { peerId: host.peerId, addresses: () => host.addresses(), close: () => running.disposeAsync() }
}

async function ownWallet(path: string, passphrase: Secret | undefined): Promise<Wallet> {
  return readWalletCard(path)
    ? loadWallet(path, passphrase)
    : createWallet(path, { name: 'registry', ...(passphrase ? { passphrase } : {}) })
}
