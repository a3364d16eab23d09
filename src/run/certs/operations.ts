// The operations on the certificate as the node serves them.
import type { Handlers } from '../../base/control/api.ts'
import { fault } from '../faults.ts'
import type { certificateApi } from './api.ts'
import type { CertificateFacts } from './certificate.ts'
import type { KeptCertificate } from './keeping.ts'

type OfRoute = (name: string, isNew: boolean) => Promise<CertificateFacts & { readonly source: string }>

/** `kept` is undefined where the agent answers on its sockets alone: fault `run.no_certificate`. `ofRoute`: of a host name in lower case. */
export function certificateHandlers(kept: KeptCertificate | undefined, source: string, ofRoute: OfRoute): Handlers<typeof certificateApi> {
  const known = (): KeptCertificate => {
    if (!kept) throw fault.no_certificate({})
    return kept
  }
  return {
    'show-certificate': async ({ route }) => (route === undefined ? { source, ...known().facts() } : ofRoute(route.toLowerCase(), false)),
    'renew-certificate': async ({ route }) =>
      route === undefined ? { source, ...(await known().renew()) } : ofRoute(route.toLowerCase(), true),
  }
}
