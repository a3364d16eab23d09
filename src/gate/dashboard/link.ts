// A link to the dashboard that signs somebody in: where it leads, for whom, and until when.
import type { Dashboard } from './dashboard.ts'

export type SignInLink = { readonly url: string; readonly principal: string; readonly untilMs: number }

/** `base`: where browsers reach the gate. Fault `dashboard.no_principal`. */
export function linkOf(dashboard: Dashboard, base: string, principal: string | undefined): SignInLink {
  const { path, ...link } = dashboard.link(principal)
  const { protocol, hostname, port } = new URL(base)
  const isEverywhere = hostname === '0.0.0.0' || hostname === '[::]' // nobody's name for it
  return { url: `${protocol}//${isEverywhere ? '127.0.0.1' : hostname}${port === '' ? '' : `:${port}`}${path}`, ...link }
}
