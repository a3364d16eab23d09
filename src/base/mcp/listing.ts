// Lists show only what may be called: what each list holds, and how the rest is cut out of it.
import type { Kind, Permit } from '../access/policy.ts'
import { type Frame, type Span, splice, stringAt, token } from '../wire/frame.ts'
import { elements, locate, members } from '../wire/locate.ts'

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

/** The name of an element; undefined when it has none, or two readers could find two: in a member that is doubled, or in other letters. */
export function nameIn({ bytes }: Frame, element: Span, { named }: Listing): Span | undefined {
  if (bytes[element[0]] !== 0x7b) return undefined
  const found = [...members(bytes, element)].filter(({ name }) => name.toLowerCase() === named.toLowerCase())
  return found.length === 1 && found[0]!.name === named ? found[0]!.value : undefined
}

/** An answer to a list without what may not be called; what stays, stays byte for byte. */
export function onlyAllowed(answer: Frame, listing: Listing, permit: Permit): Frame {
  if (permit.isOpen(listing.kind)) return answer
  const span = answer.kind === 'result' ? locate(answer.bytes, answer.at.result, listing.member) : undefined
  if (!span || answer.bytes[span[0]] !== 0x5b) return answer
  const kept = elements(answer.bytes, span).filter((element) => {
    return permit.shows(listing.kind, stringAt(answer, nameIn(answer, element, listing)))
  })
  const text = `[${kept.map((element) => token(answer, element)).join(',')}]`
  return splice(answer, [{ span, with: Buffer.from(text) }])
}
