// The access layer: decides every message before it is forwarded, and lets lists show only what may be called.
import type { Kind, Permit, Policy, Target, Verdict } from '../base/access/policy.ts'
import { type Exchange, type Layer, type Out, through } from '../base/mcp/exchange.ts'
import { paramsOf } from '../base/mcp/message.ts'
import { type Frame, splice, stringAt, token, valueAt } from '../base/wire/frame.ts'
import { elements, locate } from '../base/wire/locate.ts'

/** What each list holds, and the member of an element that rules name. */
const lists: Readonly<Record<string, { readonly member: string; readonly kind: Kind; readonly named: string }>> = {
  'tools/list': { member: 'tools', kind: 'tool', named: 'name' },
  'prompts/list': { member: 'prompts', kind: 'prompt', named: 'name' },
  'resources/list': { member: 'resources', kind: 'resource', named: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', kind: 'resource', named: 'uriTemplate' },
}

const named: Readonly<Record<string, { readonly kind: Kind; readonly place: 'name' | 'uri' }>> = {
  'tools/call': { kind: 'tool', place: 'name' },
  'prompts/get': { kind: 'prompt', place: 'name' },
  'resources/read': { kind: 'resource', place: 'uri' },
  'resources/subscribe': { kind: 'resource', place: 'uri' },
  'resources/unsubscribe': { kind: 'resource', place: 'uri' },
}

/** What a message acts on. Something that names nothing where it must is a target that no rule can name. */
function targetsOf(frame: Frame): readonly Target[] {
  const naming = named[frame.method ?? '']
  if (naming) return [{ kind: naming.kind, name: stringAt(frame, frame.at[naming.place]) ?? '' }]
  if (frame.method === 'completion/complete') {
    const ref = paramsOf(frame)['ref'] as { type?: unknown; name?: unknown; uri?: unknown } | undefined
    return [ref?.type === 'ref/prompt' ? { kind: 'prompt', name: String(ref.name) } : { kind: 'resource', name: String(ref?.uri) }]
  }
  if (frame.method === 'subscriptions/listen') {
    const uris = (paramsOf(frame)['notifications'] as { resourceSubscriptions?: unknown } | undefined)?.resourceSubscriptions
    if (Array.isArray(uris) && uris.length > 0) return uris.map((uri) => ({ kind: 'resource', name: String(uri) }))
  }
  return [{ kind: 'list' }]
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
    for (const target of targetsOf(frame)) {
      const verdict = permit.judge(target)
      if (verdict.allowed) continue
      await refused(exchange, verdict)
      return { is: 'refused', reason: verdict.reason, ...(permit.isKnown ? {} : { status: 403 }) }
    }
    const list = lists[frame.method ?? '']
    return next(exchange, list && !permit.isOpen(list.kind) ? filtered(out, list, permit) : out)
  }
}

/** Cuts out of a list result what may not be called; what stays, stays byte for byte. */
function filtered(out: Out, list: (typeof lists)[string], permit: Permit): Out {
  return through(out, (frame) => {
    const span = frame.kind === 'result' ? locate(frame.bytes, frame.at.result, list.member) : undefined
    if (!span || frame.bytes[span[0]] !== 0x5b) return out.write(frame)
    const kept = elements(frame.bytes, span).filter((element) => {
      const name = locate(frame.bytes, element, list.named)
      return name !== undefined && permit.judge({ kind: list.kind, name: String(valueAt(frame, name)) }).allowed
    })
    const text = `[${kept.map((element) => token(frame, element)).join(',')}]`
    return out.write(splice(frame, [{ span, with: Buffer.from(text) }]))
  })
}
