// Lists show only what may be called: what each list holds, and how the rest is cut out of it.
import type { Kind, Permit } from '../access/policy.ts'
import { type Frame, splice, stringAt, token } from '../wire/frame.ts'
import { elements, locate } from '../wire/locate.ts'

/** What a list holds, and the member of an element that rules name. */
export type Listing = { readonly member: string; readonly kind: Kind; readonly named: string }

const listings: Readonly<Record<string, Listing>> = {
  'tools/list': { member: 'tools', kind: 'tool', named: 'name' },
  'prompts/list': { member: 'prompts', kind: 'prompt', named: 'name' },
  'resources/list': { member: 'resources', kind: 'resource', named: 'uri' },
  'resources/templates/list': { member: 'resourceTemplates', kind: 'resource', named: 'uriTemplate' },
}

/** What this request lists; undefined when it is none for a list. */
export function listingOf({ method }: Frame): Listing | undefined {
  return method !== undefined && Object.hasOwn(listings, method) ? listings[method] : undefined
}

/** An answer to a list without what may not be called; what stays, stays byte for byte. */
export function onlyAllowed(answer: Frame, listing: Listing, permit: Permit): Frame {
  if (permit.isOpen(listing.kind)) return answer
  const span = answer.kind === 'result' ? locate(answer.bytes, answer.at.result, listing.member) : undefined
  if (!span || answer.bytes[span[0]] !== 0x5b) return answer
  const kept = elements(answer.bytes, span).filter((element) => {
    return permit.shows(listing.kind, stringAt(answer, locate(answer.bytes, element, listing.named)))
  })
  const text = `[${kept.map((element) => token(answer, element)).join(',')}]`
  return splice(answer, [{ span, with: Buffer.from(text) }])
}
