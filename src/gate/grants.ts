// Grants for servers that act by the role of whoever calls: signed anew for each call, by the gate, which proved the principal. What a client shows in their place goes no further.
import { hash } from 'node:crypto'
import { issueGrant } from '../base/access/grant.ts'
import { matcher } from '../base/access/pattern.ts'
import { type Identity, createIdentity } from '../base/identity/identity.ts'
import { ledgerSecret } from '../base/ledger/secret.ts'
import { withOwnMember } from '../base/mcp/envelope.ts'
import type { Layer } from '../base/mcp/exchange.ts'
import { meta } from '../base/mcp/protocol.ts'
import type { Clock } from '../kernel/clock.ts'

export type GrantSettings = {
  readonly signer: Identity
  /** The daemon they are for. */
  readonly audience: string
  /** Who holds which of its roles, as patterns of principals. */
  readonly roles: Readonly<Record<string, readonly string[]>>
}

/** The identity that signs them: of the secret in the file `path`, which is made when there is none. Faults: `file.*`. */
export function grantSigner(path: string): Identity {
  return createIdentity(hash('sha256', `fairlead-grants/1\n${ledgerSecret(path).reveal()}`, 'buffer'))
}

/** After the record, which tells of the bytes that the client sent. `settings`: as they are now. Whoever holds no role gets a grant of none, which nobody takes for the absence of one. */
export function grantLayer(clock: Pick<Clock, 'now'>, settings: () => GrantSettings | undefined): Layer {
  return (next) => async (exchange, out) => {
    const { frame, principal } = exchange
    if (frame.kind !== 'request' && frame.kind !== 'notification') return next(exchange, out)
    const own = frame.method === 'tools/call' ? settings() : undefined
    const grant = own && JSON.stringify(await grantOf(clock, own, principal))
    const granted = withOwnMember(frame, meta.grant, grant)
    return next(granted === frame ? exchange : { ...exchange, frame: granted }, out)
  }
}

function grantOf(
  clock: Pick<Clock, 'now'>,
  { signer: identity, audience, roles }: GrantSettings,
  { name: subject, via }: { readonly name: string; readonly via: string },
): Promise<string> {
  const held = Object.keys(roles).filter((role) => matcher(roles[role]!)(subject))
  return issueGrant({ identity, clock }, { subject, roles: held, via, audience })
}
