// Serves a daemon's own API to other machines: over TLS 1.3, to whoever is let in, with a certificate that can be changed while it serves.
import type { AddressInfo } from 'node:net'
import { reasonOf } from '../../kernel/fault.ts'
import type { Api } from './api.ts'
import { type ControlDoor, type ControlNeeds, answering } from './answering.ts'
import { fault } from './faults.ts'
import { aboutOf, shut, timeLimits } from './server.ts'

const maxConnections = 512
const handshakeTimeout = 10_000

/** PEM. `chain` begins with the daemon's own certificate; with its authority at the end clients can pin that. */
export type Certificate = { readonly chain: string; readonly key: string }

export interface HttpsControl extends AsyncDisposable {
  readonly port: number
  /** For connections from now on; those that are open go on. Fault `control.bad_certificate`, and the one before stays. */
  setCertificate(certificate: Certificate): void
}

/** Listens and answers with the open door. Faults: `control.busy_port`, `control.bad_certificate`. */
export async function openHttpsControl<A extends Api>(
  needs: ControlNeeds<A>,
  door: Pick<ControlDoor, 'admit' | 'others'>,
  {
    daemon,
    host,
    port,
    certificate,
  }: { readonly daemon: string; readonly host: string; readonly port: number; readonly certificate: Certificate },
): Promise<HttpsControl> {
  const { createServer } = await import('node:https') // TLS is 5 MB of a process
  const calls = answering(needs, { ...door, about: aboutOf(needs.api, daemon, 'change') })
  const context = ({ chain, key }: Certificate) => ({ cert: chain, key, minVersion: 'TLSv1.3' as const })
  const usable = <Value>(make: () => Value): Value => {
    try {
      return make()
    } catch (error) {
      throw fault.bad_certificate({ daemon, reason: reasonOf(error) }, error)
    }
  }
  const server = usable(() =>
    createServer(
      { ...timeLimits, ...context(certificate), handshakeTimeout, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 },
      (request, response) => {
        calls.take(request, response)
      },
    ),
  )
  server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(fault.busy_port({ daemon, host, port, reason: reasonOf(error) }, error)))
    server.listen(port, host, resolve)
  })
  server.on('error', () => {}) // a connection that could not be taken: the next one can
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (next) => usable(() => server.setSecureContext(context(next))),
    async [Symbol.asyncDispose]() {
      calls.stop()
      await shut(server, needs.clock)
    },
  }
}
