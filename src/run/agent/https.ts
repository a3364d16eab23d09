// The agent's door for other machines: HTTPS with the node's certificate, and bearer tokens.
import { readFileSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { resolveCredential } from '../../base/config/credential.ts'
import { type HttpsControl, openHttpsControl } from '../../base/control/https.ts'
import type { ControlNeeds } from '../../base/control/answering.ts'
import { createHttpClient } from '../../base/http/client.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { issue } from '../certs/authority.ts'
import { certificatePaths } from '../certs/certificate.ts'
import { type CertificateSource, type KeptCertificate, keepCertificate } from '../certs/keeping.ts'
import { requestCertificate } from '../certs/pki.ts'
import { fault } from '../faults.ts'
import type { nodeApi } from '../node-api.ts'
import { type UserNeeds, admission, validatePath, validation } from '../token/admission.ts'
import type { AgentConfig } from './config.ts'

export type CertificateNeeds = { readonly clock: Clock; readonly log: Log; readonly env: Readonly<Record<string, string | undefined>> }
type Place = { readonly certs: string; readonly folder: string; readonly name: string }

/** The certificate that the configuration asks for, kept good. `listen`: where the agent answers. */
export async function agentCertificate(
  needs: CertificateNeeds,
  { server, pki }: AgentConfig,
  { certs, folder, name }: Place,
  onChange: Parameters<typeof keepCertificate>[0]['onChange'],
): Promise<{ readonly kept: KeptCertificate; readonly source: string }> {
  const { tls_cert, tls_key, listen } = server
  const paths = tls_cert === undefined || tls_key === undefined ? certificatePaths(certs) : { cert: tls_cert, key: tls_key }
  const host = splitListen(listen!).host
  const names = [...new Set([name, hostname(), 'localhost', '127.0.0.1', ...(isAny(host) ? machineAddresses() : [host]), ...server.names])]
  const source = certificateSource(needs, pki, { certs, folder, name }, { commonName: server.names[0] ?? name, names })
  return { kept: await keepCertificate({ ...needs, onChange }, { paths, certs, source }), source: source.name }
}

/** The PKI of the configuration, or else the node's own authority. */
export function certificateSource(
  { clock, env }: Pick<CertificateNeeds, 'clock' | 'env'>,
  pki: AgentConfig['pki'],
  { certs, folder, name }: Place,
  { commonName, names }: { readonly commonName: string; readonly names: readonly string[] },
): CertificateSource {
  return pki
    ? {
        name: 'pki',
        async issue() {
          const http = createHttpClient({ authority: pki.ca === undefined ? undefined : readFileSync(pki.ca, 'utf8') })
          try {
            const token = await resolveCredential(pki.token, { env, folder })
            return await requestCertificate({ http, clock }, pki, { commonName, names, token })
          } finally {
            http.close()
          }
        },
      }
    : { name: 'built-in', issue: () => issue(certs, name, names) }
}

/** Where the certificates of routes come from, and lie: the ACME server of the configuration, or else as the agent's own. */
export async function routeCertificates(
  needs: Pick<CertificateNeeds, 'clock' | 'env'>,
  { acme, pki }: Pick<AgentConfig, 'acme' | 'pki'>,
  place: Place,
  stack: AsyncDisposableStack,
): Promise<{ readonly source: (hostname: string) => CertificateSource; readonly folder: string }> {
  if (!acme) {
    const source = (hostname: string): CertificateSource =>
      certificateSource(needs, pki, place, { commonName: hostname, names: [hostname] })
    return { source, folder: join(place.certs, 'routes') }
  }
  const { directory, contact, ca, listen } = acme
  const http = createHttpClient({ authority: ca === undefined ? undefined : readFileSync(ca, 'utf8') })
  stack.defer(() => http.close())
  const folder = join(place.certs, 'acme', new URL(directory).host) // another authority's certificates are not taken for its own
  const { acmeSources } = await import('../certs/acme/acme.ts')
  return { source: acmeSources({ clock: needs.clock, http }, { directory, contact, folder, ...splitListen(listen, 80) }), folder }
}

/** Listens. Faults: those of `openHttpsControl`. */
export async function openAgentDoor(
  needs: ControlNeeds<typeof nodeApi>,
  users: UserNeeds,
  { listen, certificate }: { readonly listen: string; readonly certificate: KeptCertificate },
): Promise<HttpsControl> {
  const door = { admit: admission(users), others: { [validatePath]: validation(users) } }
  return openHttpsControl(needs, door, { daemon: 'node', ...splitListen(listen), certificate: certificate.now() })
}

const agentPort = 9_444

/** `ADDRESS[:9444]`. Fault `run.bad_listen`. */
export function splitListen(text: string, defaultPort = agentPort): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = bracketed ?? plain
  const number = port === undefined ? defaultPort : Number(port)
  if (host === undefined || number > 65_535) throw fault.bad_listen({ listen: text })
  return { host, port: number }
}

const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::'

const mostAddresses = 32

/** Where it can be reached when it listens at all of them; those of one link alone lead nowhere without the link's name. */
function machineAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? [])
  return all
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
    .map(({ address }) => address)
    .slice(0, mostAddresses)
}
