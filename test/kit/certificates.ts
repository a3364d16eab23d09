// Certificate authorities and certificates, made by openssl as any operator would.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type Authority = { readonly pem: string; readonly folder: string; readonly name: string }

const openssl = (folder: string, ...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
const keyArgs = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Its files are `NAME.pem` and `NAME.key` in the folder. */
export function makeAuthority(folder: string, name = 'authority'): Authority {
  openssl(folder, 'req', '-x509', ...keyArgs, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name}`)
  return { folder, name, pem: readFileSync(join(folder, `${name}.pem`), 'utf8') }
}

/** A certificate of that authority, for such names (`IP:127.0.0.1`, `DNS:rift`); the chain ends with the authority. */
export function makeCertificate({ folder, name, pem }: Authority, names: readonly string[], days = 1): { chain: string; key: string } {
  openssl(folder, 'req', ...keyArgs, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=leaf')
  writeFileSync(join(folder, 'leaf.ext'), `subjectAltName=${names.join(',')}\nbasicConstraints=CA:FALSE\n`)
  const days_ = String(days)
  openssl(folder, 'x509', '-req', '-in', 'leaf.csr', '-CA', `${name}.pem`, '-CAkey', `${name}.key`, '-CAcreateserial', '-days', days_, '-extfile', 'leaf.ext', '-out', 'leaf.pem') // prettier-ignore
  return { chain: readFileSync(join(folder, 'leaf.pem'), 'utf8') + pem, key: readFileSync(join(folder, 'leaf.key'), 'utf8') }
}
