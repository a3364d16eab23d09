// Whether a request comes from a page of the dashboard itself: a page of another site, or of another port of this machine, must not act as the person who is signed in.
import type { IncomingMessage } from 'node:http'
import { fault } from './faults.ts'

/** A page elsewhere can send this only after a preflight, which is never answered. */
export const ownHeader = 'x-fairlead'
export const ownHeaderValue = 'dashboard'

/** Faults: `dashboard.foreign_page`. `publicHost`: under which it is reached from outside, with its port if that is not the usual one. */
export function checkSameSite(request: IncomingMessage, publicHost: string | undefined): void {
  const { host, origin, 'sec-fetch-site': site } = request.headers
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw fault.foreign_page({ problem: `it is ${JSON.stringify(site)}` })
  if (origin !== undefined && !isOwn(origin, [host, publicHost])) throw fault.foreign_page({ problem: 'its origin is another one' })
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  if (!isRead && request.headers[ownHeader] !== ownHeaderValue) throw fault.foreign_page({ problem: `it lacks the header ${ownHeader}` })
}

function isOwn(origin: string, hosts: readonly (string | undefined)[]): boolean {
  return URL.canParse(origin) && hosts.includes(new URL(origin).host)
}
