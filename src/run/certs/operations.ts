// The operations on the certificate as the node serves them.
import type { Handlers } from '../../base/control/api.ts'
import { fault } from '../faults.ts'
import type { certificateApi } from './api.ts'
import type { KeptCertificate } from './keeping.ts'

/** `kept` is undefined where the agent answers on its sockets alone: fault `run.no_certificate`. */
export function certificateHandlers(kept: KeptCertificate | undefined, source: string): Handlers<typeof certificateApi> {
  const known = (): KeptCertificate => {
    if (!kept) throw fault.no_certificate({})
    return kept
  }
  return {
    'show-certificate': async () => ({ source, ...known().facts() }),
    'renew-certificate': async () => ({ source, ...(await known().renew()) }),
  }
}
