// Gets to a daemon on another machine: TLS to a certificate authority that was pinned, and the bearer token only after that is proved.
import type { Secret } from '../../kernel/secret.ts'
import type { Way } from './way.ts'

export type HttpsAddress = { readonly host: string; readonly port: number }

export type HttpsTrust = {
  /** PEM: the certificate authority, or the daemon's own certificate. Nothing else is believed, whatever the system trusts. */
  readonly authority: string
  /** Shown with each call; without it only what needs none can be called. */
  readonly bearer?: Secret | undefined
}

/** As it is written in a URL: an IPv6 address in brackets (RFC 3986 §3.2.2). */
export function addressText({ host, port }: HttpsAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `HOST[:PORT]`, an IPv6 address in brackets when a port follows; undefined when the text is none. */
export function httpsAddress(text: string, defaultPort: number): HttpsAddress | undefined {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9](?:[\w.-]*[a-z0-9])?))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = bracketed ?? plain
  const number = port === undefined ? defaultPort : Number(port)
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number }
}

/** A way whose connections are made anew for each call. */
export function httpsWay(address: HttpsAddress, { authority, bearer }: HttpsTrust): Way {
  return {
    name: addressText(address),
    async open({ headers, ...asked }) {
      const { request } = await import('node:https')
      return request({
        ...asked,
        ...address,
        agent: false,
        ca: authority,
        minVersion: 'TLSv1.3',
        allowPartialTrustChain: true, // what was pinned may be the daemon's own certificate
        headers: { ...headers, ...(bearer ? { authorization: `Bearer ${bearer.reveal()}` } : {}) },
      })
    },
  }
}

export type ShownAuthority = {
  readonly pem: string
  /** SHA-256 of the certificate: `AB:CD:…`. */
  readonly fingerprint: string
  /** False: the daemon showed its own certificate alone, and one that is renewed must be pinned anew. */
  readonly isAuthority: boolean
}

/** The end of the certificate chain that is shown there, believed by nobody yet: a person compares its fingerprint. Rejects when nothing answers. */
export async function shownAuthority({ host, port }: HttpsAddress, signal: AbortSignal): Promise<ShownAuthority> {
  const { connect } = await import('node:tls')
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
    const stop = (): void => void socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    socket.once('close', () => signal.removeEventListener('abort', stop)).once('error', reject)
    socket.once('secureConnect', () => {
      let last = socket.getPeerX509Certificate()
      for (let above = last?.issuerCertificate; above && above.fingerprint256 !== last!.fingerprint256; above = last.issuerCertificate)
        last = above
      socket.destroy()
      if (last) resolve({ pem: last.toString(), fingerprint: last.fingerprint256, isAuthority: last.ca })
      else reject(new Error('no certificate was shown'))
    })
  })
}
