// The node's own certificate authority: made once, kept in `certs/`, and the only one that its clients believe (they pin it). Certificates are made by openssl.
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { type ExecResult, exec } from '../../kernel/exec.ts'
import { makeFolder, readText, removeFile, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { fault } from '../faults.ts'
import { type Pem, certificateFacts, isAddress } from './certificate.ts'

const authorityDays = 3_650
const leafDays = 90
const timeoutMs = 20_000
/** Host names and addresses, and no way to say anything else in openssl's own notation. */
const nameText = /^[\w.:*-]{1,253}$/

/** The authority's certificate (PEM), made with its key when there is none. Fault `run.certificate_failed`. */
export async function authorityOf(certs: string, node: string): Promise<string> {
  const path = join(certs, 'ca.pem')
  const found = readText(path)
  if (found !== undefined) return found
  makeFolder(certs)
  const keyPath = join(certs, 'ca-key.pem')
  if (readText(keyPath) === undefined) writeWhole(keyPath, newKey())
  const made = await openssl([
    'req', '-x509', '-new', '-sha256', '-key', keyPath, '-days', String(authorityDays), '-subj', `/CN=Fairlead node ${node}`,
    '-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0', '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
  ]) // prettier-ignore
  certificateFacts(made)
  writeWhole(path, made, 0o644)
  return made
}

/** A new key and a certificate for these names by the node's authority, whose certificate ends the chain. Fault `run.certificate_failed`. */
export async function issue(certs: string, node: string, names: readonly string[]): Promise<Pem> {
  const bad = [node, ...names].find((name) => !nameText.test(name))
  if (bad !== undefined) throw fault.certificate_failed({ reason: `${JSON.stringify(bad)} is no host name or address` })
  const authority = await authorityOf(certs, node)
  const key = newKey()
  using file = keyFile(certs, key)
  const made = await openssl([
    'req', '-x509', '-new', '-sha256', '-key', file.path, '-CA', join(certs, 'ca.pem'), '-CAkey', join(certs, 'ca-key.pem'), '-days', String(leafDays), '-subj', `/CN=${node}`,
    '-addext', alternatives(names), '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'keyUsage=critical,digitalSignature',
    '-addext', 'extendedKeyUsage=serverAuth',
  ]) // prettier-ignore
  certificateFacts(made)
  return { chain: `${made.trim()}\n${authority.trim()}\n`, key }
}

/** What another authority is asked with: a request (PKCS #10, DER) for these names, signed with that key. Fault `run.certificate_failed`. */
export async function requestFor(certs: string, names: readonly string[], key: string): Promise<Buffer> {
  using file = keyFile(certs, key)
  const made = await openssl(['req', '-new', '-sha256', '-key', file.path, '-subj', '/', '-addext', alternatives(names)])
  return Buffer.from(made.replaceAll(/-----[^-]+-----/g, ''), 'base64')
}

const alternatives = (names: readonly string[]): string =>
  `subjectAltName=${names.map((name) => `${isAddress(name) ? 'IP' : 'DNS'}:${name}`).join(',')}`

/** openssl reads keys from files; several may be there at once. */
function keyFile(certs: string, key: string): Disposable & { readonly path: string } {
  const path = join(certs, `.${randomId(6)}-key.pem`)
  writeWhole(path, key)
  return { path, [Symbol.dispose]: () => removeFile(path) }
}

/** P-256, PKCS #8. */
export function newKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
}

async function openssl(args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr }: ExecResult = await exec(['openssl', ...args], {
    env: { PATH: '/usr/bin:/bin:/usr/local/bin' },
    timeoutMs,
  })
  if (exitCode !== 0 || !stdout.includes('-----BEGIN CERTIFICATE'))
    throw fault.certificate_failed({ reason: stderr.trim().split('\n').at(-1) ?? `openssl ended with ${exitCode}` })
  return stdout
}
