// The wallet: one small file that holds an identity's name, peer id and key, 0600 in a folder that nobody else can write. A passphrase may seal the key, or it
// is not there at all, but in ssh-agent.
import { createCipheriv, createDecipheriv, scrypt } from 'node:crypto'
import { dirname } from 'node:path'
import { faults } from '../../kernel/fault.ts'
import { makeFolder, readText, statOf, writeWhole } from '../../kernel/file.ts'
import { randomBytes } from '../../kernel/random.ts'
import type { Secret } from '../../kernel/secret.ts'
import { type Identity, createIdentity, isPeerId, publicKeyOf, seedSizeBytes } from './identity.ts'
import { isItem } from './keychain.ts'
import { type SshAgent, agentIdentity, fault as agentFault } from './ssh-agent.ts'

export const fault = faults('wallet', {
  missing: (d: { path: string }) => ({
    kind: 'missing',
    message: `there is no wallet at ${d.path}`,
    hint: 'make one: fairlead reach init --name "<Role>"',
  }),
  exists: (d: { path: string; peerId: string | undefined }) => ({
    kind: 'conflict',
    message: `there is already a wallet at ${d.path}${d.peerId ? `, of ${d.peerId}` : ''}`,
    hint: 'keep it, or replace it with --force: its identity is then kept beside it, with the time in its name',
  }),
  bad_name: (d: { name: string }) => ({
    kind: 'usage',
    message: `${JSON.stringify(d.name.slice(0, 80))} is no name for an identity`,
    hint: 'use 1 to 64 visible characters',
  }),
  loose_mode: (d: { path: string; mode: string; wanted: string }) => ({
    kind: 'denied',
    message: `others on this machine can get at ${d.path} (mode ${d.mode})`,
    hint: `chmod ${d.wanted} '${d.path}'; if it lay open for long, make a new identity`,
  }),
  damaged: (d: { path: string; problem: string }) => ({
    kind: 'config',
    message: `the wallet ${d.path} is damaged: ${d.problem}`,
    hint: 'put back your copy of wallet.json',
  }),
  locked: (d: { path: string }) => ({
    kind: 'unauthenticated',
    message: `the wallet ${d.path} is sealed with a passphrase`,
    hint: 'at a terminal it is asked; elsewhere name where it is kept: --passphrase-file FILE, or --passphrase-env NAME',
  }),
  wrong_passphrase: (d: { path: string }) => ({
    kind: 'unauthenticated',
    message: `the passphrase does not open ${d.path}`,
    hint: 'or the file was changed: compare it with your copy',
  }),
  changed: (d: { path: string }) => ({
    kind: 'conflict',
    message: `another process changed ${d.path} meanwhile`,
    hint: 'look at it ("fairlead reach status"), then try again',
  }),
})

export type Wallet = { readonly name: string; readonly identity: Identity }

/** What opens a wallet. */
export type WalletKeys = {
  /** Asked for only when the wallet is sealed; undefined when there is none to be had. */
  readonly passphrase?: Secret | (() => Promise<Secret | undefined>) | undefined
  readonly agent?: SshAgent | undefined
}

/** What can be read without the passphrase. Not proved until the wallet was loaded. */
export type WalletCard = {
  readonly name: string
  readonly peerId: string
  readonly isSealed: boolean
  readonly isInAgent: boolean
  /** The item of the keychain that is to hold the passphrase. */
  readonly keychain: string | undefined
}

/** What seals a key: the passphrase, and the item of the keychain that remembers it, if one does. */
export type Sealing = { readonly passphrase: Secret; readonly keychain?: string | undefined }

type PlainKey = { readonly seal: 'none'; readonly seed: string }
type SealedKey = {
  readonly seal: 'scrypt+aes-256-gcm'
  readonly logN: number
  readonly salt: string
  readonly nonce: string
  readonly sealed: string
  /** Where to look for the passphrase first. It proves nothing, so that the seal need not cover it. */
  readonly keychain?: string
}
/** The peer id says which public key it is. */
type AgentsKey = { readonly seal: 'ssh-agent' }
type WalletFile = { readonly wallet: 1; readonly name: string; readonly peerId: string; readonly key: PlainKey | SealedKey | AgentsKey }

// scrypt (RFC 7914) at N = 2^17, r = 8: about 0.3 s and 134 MB. Files that ask for more are refused, for they would only cost us memory.
const logN = 17
const maxLogN = 20
const tagSizeBytes = 16

export type CreateWalletSettings = {
  readonly name: string
  /** Seals the key; without it the file's mode alone protects it. */
  readonly passphrase?: Secret | undefined
  /** The item of the keychain that remembers the passphrase. */
  readonly keychain?: string | undefined
  /** Replaces a wallet that is there. The time, in milliseconds since the Unix epoch: the old one is kept as `<path>.<UTC time>`, which no later one replaces. */
  readonly replaceAt?: number
  /** The identity to keep; a new one by default. */
  readonly identity?: Identity
  /** Its key is in ssh-agent: the file only says so. */
  readonly isInAgent?: boolean
}

/** Writes a wallet at `path` and returns it, with the place of the one it replaced. Faults: `wallet.exists`, `wallet.bad_name`, `wallet.loose_mode` (the folder). */
export async function createWallet(path: string, settings: CreateWalletSettings): Promise<Wallet & { readonly keptAside?: string }> {
  const { name, passphrase, keychain, replaceAt, identity = createIdentity(), isInAgent = false } = settings
  if (!/^[^\p{C}]{1,64}$/u.test(name) || name.trim() !== name) throw fault.bad_name({ name })
  makeFolder(dirname(path))
  checkFolder(path)
  const old = readText(path)
  if (old !== undefined && replaceAt === undefined) throw fault.exists({ path, peerId: peerIdIn(path, old) })
  const text = isInAgent
    ? fileText({ name, identity }, { seal: 'ssh-agent' })
    : await keyText({ name, identity }, passphrase && { passphrase, keychain })
  const write = (): void => writeWhole(path, text, 0o600)
  if (old === undefined || replaceAt === undefined) {
    write()
    return { name, identity }
  }
  const keptAside = freeName(path, replaceAt)
  writeWhole(keptAside, old, 0o600)
  write()
  return { name, identity, keptAside }
}

/** `<path>.<UTC time>`, a little later when that is taken. */
function freeName(path: string, nowMs: number): string {
  const name = `${path}.${new Date(nowMs).toISOString().replaceAll(/[-:]/g, '')}`
  return statOf(name) ? freeName(path, nowMs + 1) : name
}

/**
 * Writes the wallet again as one step: its key sealed, or not. Faults: `ssh_agent.key_stays`, `wallet.changed` when the file is no
 * longer `before`, its text when the wallet was read.
 */
export async function resealWallet(path: string, wallet: Wallet, before: string, sealing: Sealing | undefined): Promise<void> {
  const text = await keyText(wallet, sealing)
  if (readText(path) !== before) throw fault.changed({ path })
  writeWhole(path, text, 0o600)
}

async function keyText(wallet: Wallet, sealing: Sealing | undefined): Promise<string> {
  const { name, identity } = wallet
  return fileText(wallet, sealing ? await seal(identity, name, sealing) : { seal: 'none', seed: encoded(identity.privateKeyRaw) })
}

function fileText({ name, identity }: Wallet, key: WalletFile['key']): string {
  return `${JSON.stringify({ wallet: 1, name, peerId: identity.peerId, key } satisfies WalletFile, undefined, 2)}\n`
}

/**
 * Reads the wallet. Faults: `wallet.missing`, `wallet.loose_mode`, `wallet.damaged`, `wallet.locked`, `wallet.wrong_passphrase`; those of `agentIdentity` when
 * its key is in ssh-agent.
 */
export async function loadWallet(path: string, { passphrase, agent }: WalletKeys = {}): Promise<Wallet> {
  const file = open(path)
  if (file.key.seal === 'ssh-agent') {
    if (!agent) throw agentFault.not_set({})
    return { name: file.name, identity: await agentIdentity(agent, publicKeyOf(file.peerId)) }
  }
  const given = async (): Promise<Secret | undefined> => (typeof passphrase === 'function' ? passphrase() : passphrase)
  const seed = file.key.seal === 'none' ? decoded(file.key.seed) : await unseal(path, file, file.key, await given())
  if (seed?.length !== seedSizeBytes) throw fault.damaged({ path, problem: 'its key has not 32 bytes' })
  const identity = createIdentity(seed)
  if (identity.peerId !== file.peerId)
    throw fault.damaged({ path, problem: `its key belongs to ${identity.peerId}, not to ${file.peerId}` })
  return { name: file.name, identity }
}

/** Reads what needs no passphrase, or undefined when there is no wallet. Faults: `wallet.loose_mode`, `wallet.damaged`. */
export function readWalletCard(path: string): WalletCard | undefined {
  if (!statOf(path)) return undefined
  const { name, peerId, key } = open(path)
  const isSealed = key.seal === 'scrypt+aes-256-gcm'
  return { name, peerId, isSealed, isInAgent: key.seal === 'ssh-agent', keychain: isSealed ? key.keychain : undefined }
}

function open(path: string): WalletFile {
  const stat = statOf(path)
  const text = stat && readText(path)
  if (!stat || text === undefined) throw fault.missing({ path })
  if (stat.mode & 0o077) throw fault.loose_mode({ path, mode: modeText(stat.mode), wanted: '600' })
  checkFolder(path)
  return parse(path, text)
}

/** Who can write the folder can replace the wallet. Read access to it shows no more than the name of a 0600 file. */
function checkFolder(path: string): void {
  const folder = dirname(path)
  const mode = statOf(folder)?.mode ?? 0
  if (mode & 0o022) throw fault.loose_mode({ path: folder, mode: modeText(mode), wanted: '700' })
}

function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

function parse(path: string, text: string): WalletFile {
  const damaged = (problem: string) => fault.damaged({ path, problem })
  let file: Partial<WalletFile> | null
  try {
    file = JSON.parse(text) as Partial<WalletFile> | null
  } catch (error) {
    throw fault.damaged({ path, problem: text.trim() === '' ? 'it is empty' : 'it is not JSON' }, error)
  }
  if (typeof file !== 'object' || file === null || file.wallet !== 1) throw damaged('it is no wallet of version 1')
  if (typeof file.name !== 'string' || typeof file.peerId !== 'string' || !isPeerId(file.peerId))
    throw damaged('its name or its peer id is missing')
  const key = (file.key ?? {}) as Readonly<Record<string, unknown>>
  const isPlain = key.seal === 'none' && typeof key.seed === 'string'
  const hasTexts = [key.salt, key.nonce, key.sealed].every((part) => typeof part === 'string')
  const cost = Number.isInteger(key.logN) ? (key.logN as number) : 0
  const isRemembered = key.keychain === undefined || isItem(key.keychain)
  const isSealed = key.seal === 'scrypt+aes-256-gcm' && hasTexts && isRemembered && cost >= 10 && cost <= maxLogN
  if (!isPlain && !isSealed && key.seal !== 'ssh-agent') throw damaged('its key is missing or sealed in an unknown way')
  return file as WalletFile
}

function peerIdIn(path: string, text: string): string | undefined {
  try {
    return parse(path, text).peerId
  } catch {
    return undefined // a damaged wallet is not overwritten either
  }
}

/** All that the file says around the sealed key: a change of any of it is noticed. */
function header(name: string, peerId: string, key: Omit<SealedKey, 'sealed' | 'keychain'>): Buffer {
  return Buffer.from(JSON.stringify(['fairlead-wallet/1', name, peerId, key.seal, key.logN, key.salt, key.nonce]))
}

function stretch(passphrase: Secret, salt: Uint8Array, cost: number): Promise<Buffer> {
  const N = 2 ** cost
  return new Promise((resolve, reject) => {
    // node:crypto refuses more than 32 MiB unless it is told: 128 · N · r bytes, and a little
    scrypt(passphrase.reveal().normalize('NFC'), salt, 32, { N, r: 8, p: 1, maxmem: 128 * N * 8 + (1 << 20) }, (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}

async function seal(identity: Identity, name: string, { passphrase, keychain }: Sealing): Promise<SealedKey> {
  const salt = randomBytes(16)
  const nonce = randomBytes(12)
  const open = { seal: 'scrypt+aes-256-gcm', logN, salt: encoded(salt), nonce: encoded(nonce) } as const
  const cipher = createCipheriv('aes-256-gcm', await stretch(passphrase, salt, logN), nonce)
  cipher.setAAD(header(name, identity.peerId, open))
  const sealed = Buffer.concat([cipher.update(identity.privateKeyRaw), cipher.final(), cipher.getAuthTag()])
  return { ...open, sealed: encoded(sealed), ...(keychain === undefined ? {} : { keychain }) }
}

async function unseal(path: string, file: WalletFile, key: SealedKey, passphrase: Secret | undefined): Promise<Uint8Array> {
  if (!passphrase) throw fault.locked({ path })
  const [salt, nonce, sealed] = [decoded(key.salt), decoded(key.nonce), decoded(key.sealed)]
  if (salt?.length !== 16 || nonce?.length !== 12 || sealed?.length !== seedSizeBytes + tagSizeBytes)
    throw fault.damaged({ path, problem: 'its sealed key has a wrong length' })
  const decipher = createDecipheriv('aes-256-gcm', await stretch(passphrase, salt, key.logN), nonce, { authTagLength: tagSizeBytes })
  decipher.setAAD(header(file.name, file.peerId, key))
  decipher.setAuthTag(sealed.subarray(seedSizeBytes))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, seedSizeBytes)), decipher.final()])
  } catch (error) {
    throw fault.wrong_passphrase({ path }, error)
  }
}

function encoded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function decoded(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
