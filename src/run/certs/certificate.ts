// What a certificate says, and the files that the agent's lies in.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { join } from 'node:path'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import { fault } from '../faults.ts'

/** `chain` begins with the certificate itself. */
export type Pem = { readonly chain: string; readonly key: string }

export type CertificateFacts = {
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  /** ms since 1970 */
  readonly from: number
  readonly until: number
  /** Hex, colons between bytes. */
  readonly sha256: string
}

/** Of the first certificate in the text. Fault `run.certificate_failed` when it is none. */
export function certificateFacts(chain: string): CertificateFacts {
  const found = parsed(chain)
  const names = (found.subjectAltName ?? '').split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''))
  return {
    subject: found.subject.replaceAll('\n', ', '),
    issuer: found.issuer.replaceAll('\n', ', '),
    names: names.filter((name) => name !== ''),
    from: found.validFromDate.getTime(),
    until: found.validToDate.getTime(),
    sha256: found.fingerprint256,
  }
}

function parsed(chain: string): X509Certificate {
  try {
    return new X509Certificate(chain)
  } catch (error) {
    throw fault.certificate_failed({ reason: 'what should be a certificate is none' }, error)
  }
}

export type CertificatePaths = { readonly cert: string; readonly key: string }

export function certificatePaths(certs: string): CertificatePaths {
  return { cert: join(certs, 'cert.pem'), key: join(certs, 'key.pem') }
}

/** Undefined when one of the two is not there. Fault `run.certificate_failed` when they do not belong together. */
export function readCertificate({ cert, key }: CertificatePaths): Pem | undefined {
  const [chain, keyText] = [readText(cert), readText(key)]
  return chain === undefined || keyText === undefined ? undefined : checked({ chain, key: keyText })
}

/** The key first: a reader that comes between the two finds a pair that does not belong together, and reads again. */
export function writeCertificate({ cert, key }: CertificatePaths, certs: string, pem: Pem): void {
  checked(pem)
  makeFolder(certs)
  writeWhole(key, pem.key)
  writeWhole(cert, pem.chain, 0o644)
}

/** An IP address, among the names of a certificate. */
export const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(':')

/** Whether the key is that of the first certificate; false, too, when one of them cannot be read. */
export function isPair({ chain, key }: Pem): boolean {
  try {
    return new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function checked(pem: Pem): Pem {
  if (!isPair(pem)) throw fault.certificate_failed({ reason: 'the key is not that of the certificate, or one of them cannot be read' })
  return pem
}
