// The access layer: decides every message before it is forwarded, and lets lists show only what may be called, and nothing is for other caches than the client's own.
import type { Policy, Verdict } from '../base/access/policy.ts'
import { type Exchange, type Layer, through } from '../base/mcp/exchange.ts'
import { listingOf, onlyAllowed } from '../base/mcp/listing.ts'
import { targetsOf } from '../base/mcp/targets.ts'
import { type Frame, splice, stringAt } from '../base/wire/frame.ts'

export type PermitNeeds = {
  readonly policy: Policy
  readonly upstream: string
  /** Records the refusal before the client hears of it. */
  refused(exchange: Exchange, verdict: Verdict): Promise<void>
}

export function permitLayer({ policy, upstream, refused }: PermitNeeds): Layer {
  return (next) => async (exchange, out) => {
    const { frame, principal } = exchange
    const permit = policy.permit(principal.name, upstream)
    for (const target of targetsOf(exchange)) {
      const verdict = permit.judge(target)
      if (verdict.allowed) continue
      await refused(exchange, verdict)
      return { is: 'refused', reason: verdict.reason, ...(permit.isKnown ? {} : { status: 403 }) }
    }
    const listing = listingOf(frame)
    return next(
      exchange,
      through(out, (incoming) => out.write(forOne(listing ? onlyAllowed(incoming, listing, permit) : incoming))),
    )
  }
}

/** What a server would have caches give to everybody is, behind rules, for whom it was given to. */
function forOne(incoming: Frame): Frame {
  const { cacheScope } = incoming.at
  if (!cacheScope || stringAt(incoming, cacheScope) !== 'public') return incoming
  return splice(incoming, [{ span: cacheScope, with: Buffer.from('"private"') }])
}
