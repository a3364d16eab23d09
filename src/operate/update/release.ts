// What makes a package a release: a manifest of all its files, and the signature of somebody whom root trusts over exactly those bytes (spec/release.md).
import { hash } from 'node:crypto'
import { type Identity, isPeerId, publicKeyOf, verify } from '../../base/identity/identity.ts'
import { fault } from './faults.ts'
import type { PackedFile } from './tarball.ts'
import { isVersion } from './version.ts'

export const manifestName = 'release.json'
export const signatureName = 'release.sig'
const context = 'fairlead-release/1\n'

export type Manifest = {
  readonly release: 1
  readonly package: string
  readonly version: string
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly executable?: true }>>
}
export type Release = { readonly version: string; readonly signer: string; readonly files: readonly PackedFile[] }
type Trust = { readonly signers: readonly string[]; readonly package: string }

const isSignature = (path: string): boolean => path === manifestName || path === signatureName
const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')
const signed = (manifest: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(context), manifest])

/** The files of a package together with the manifest and its signature; an earlier signature goes. Faults `update.bad_tarball`. */
export async function signRelease(
  identity: Identity,
  files: readonly PackedFile[],
): Promise<{ readonly version: string; readonly files: readonly PackedFile[] }> {
  const own = files.filter(({ path }) => !isSignature(path))
  const { name, version } = packageOf(own)
  const listed = own.map(
    ({ path, bytes, isExecutable }) => [path, { sha256: sha256(bytes), ...(isExecutable ? { executable: true as const } : {}) }] as const,
  )
  const manifest: Manifest = { release: 1, package: name, version, files: Object.fromEntries(listed) }
  const text = Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`)
  const signature = Buffer.from(await identity.sign(signed(text))).toString('base64url')
  const added = [
    { path: manifestName, bytes: text, isExecutable: false },
    { path: signatureName, bytes: Buffer.from(`${identity.peerId} ${signature}\n`), isExecutable: false },
  ]
  return { version, files: [...own, ...added] }
}

function packageOf(files: readonly PackedFile[]): { readonly name: string; readonly version: string } {
  const text = files.find(({ path }) => path === 'package.json')?.bytes
  try {
    const { name, version } = JSON.parse(Buffer.from(text ?? []).toString('utf8')) as Record<string, unknown>
    if (typeof name === 'string' && typeof version === 'string' && isVersion(version)) return { name, version }
  } catch {
    // said below
  }
  throw fault.bad_tarball({ problem: 'its package.json names no package and version' })
}

/** Holds the files against their manifest, and that against its signature, all before anything is believed. Fault `update.not_signed`. */
export function openRelease(files: readonly PackedFile[], trust: Trust): Release {
  const refuse = (problem: string): never => {
    throw fault.not_signed({ problem })
  }
  const byPath = new Map(files.map((file) => [file.path, file]))
  const [text, line] = [manifestName, signatureName].map((path) => byPath.get(path)?.bytes)
  if (!text || !line) return refuse('it is not signed')
  const [, signer = '', signature = ''] = /^(\S+) ([\w-]{86})\n$/.exec(Buffer.from(line).toString('latin1')) ?? []
  if (!isPeerId(signer)) return refuse('its signature cannot be read')
  if (!trust.signers.includes(signer)) return refuse(`it is signed by ${signer}, whom nobody trusts here`)
  if (!verify(publicKeyOf(signer), signed(text), Buffer.from(signature, 'base64url')))
    return refuse(`the signature of ${signer} does not fit it`)
  // from here on it is the words of somebody who is trusted
  const manifest = JSON.parse(Buffer.from(text).toString('utf8')) as Manifest
  if (manifest.release !== 1) return refuse('its manifest is of a later kind')
  if (manifest.package !== trust.package) return refuse(`it is a release of ${manifest.package}, not of ${trust.package}`)
  if (!isVersion(manifest.version)) return refuse('its version is none')
  const own = files.filter(({ path }) => !isSignature(path))
  for (const { path, bytes, isExecutable } of own) {
    const listed = Object.hasOwn(manifest.files, path) ? manifest.files[path] : undefined
    if (listed?.sha256 !== sha256(bytes)) return refuse(`${path} is not what was signed`)
    if ((listed.executable === true) !== isExecutable) return refuse(`${path} has another mode than what was signed`)
  }
  const missing = Object.keys(manifest.files).find((path) => !byPath.has(path))
  if (missing !== undefined) return refuse(`${missing} is missing`)
  return { version: manifest.version, signer, files }
}
