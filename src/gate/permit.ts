// The access layer: decides every message before it is forwarded, and lets lists show only what may be called.
import type { Kind, Permit, Policy, Verdict } from '../base/access/policy.ts'
import { type Exchange, type Layer, type Out, through } from '../base/mcp/exchange.ts'
import { splice, stringAt, token } from '../base/wire/frame.ts'
import { elements, locate } from '../base/wire/locate.ts'
import { targetsOf } from './targets.ts'

/** What each list holds, and the member of an element that rules name. */
const lists: Readonly<Record<string, { readonly member: string; readonly kind: Kind; readonly named: string }>> = {
  'tools/list': { member: 'tools', kind: 'tool', named: 'name' },
  'prompts/list': { member: 'prompts', kind: 'prompt', named: 'name' },
  'resources/list': { member: 'resources', kind: 'resource', named: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', kind: 'resource', named: 'uriTemplate' },
}

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
    const list = frame.method !== undefined && Object.hasOwn(lists, frame.method) ? lists[frame.method] : undefined
    return next(exchange, list && !permit.isOpen(list.kind) ? filtered(out, list, permit) : out)
  }
}

/** Cuts out of a list result what may not be called; what stays, stays byte for byte. */
function filtered(out: Out, list: (typeof lists)[string], permit: Permit): Out {
  return through(out, (frame) => {
    const span = frame.kind === 'result' ? locate(frame.bytes, frame.at.result, list.member) : undefined
    if (!span || frame.bytes[span[0]] !== 0x5b) return out.write(frame)
    const kept = elements(frame.bytes, span).filter((element) => {
      return permit.shows(list.kind, stringAt(frame, locate(frame.bytes, element, list.named)))
    })
    const text = `[${kept.map((element) => token(frame, element)).join(',')}]`
    return out.write(splice(frame, [{ span, with: Buffer.from(text) }]))
  })
}
