// What a tool is to those who choose and call it, in one form whatever its spelling, and the fingerprint of that (spec/pins.md).
import { hash } from 'node:crypto'
import { type Span, asBuffer } from '../../base/wire/frame.ts'
import { elements, members } from '../../base/wire/locate.ts'

/** The members that a client's model sees or a client acts on; in the order of the canonical form. */
const pinned = ['annotations', 'description', 'inputSchema', 'name', 'outputSchema', 'title'] as const

export type Definition = {
  readonly name: string
  /** SHA-256 in lower-case hex. */
  readonly fingerprint: string
  /** The canonical form, which is JSON. */
  readonly text: string
  /** Every text in it, decoded: names of members, too. */
  readonly texts: readonly string[]
  /** Why two readers may see two definitions in it. */
  readonly ambiguity: string | undefined
}

/** The fingerprint of a canonical form. */
export function fingerprintOf(text: string): string {
  return hash('sha256', `fairlead-pin/1\n${text}`, 'hex')
}

class Reader {
  readonly #bytes: Buffer
  readonly texts: string[] = []
  ambiguity: string | undefined

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes)
  }

  /** The canonical form of the object at `span`; with `only`, of those members alone. */
  object(span: Span, only?: readonly string[]): { readonly text: string; readonly values: ReadonlyMap<string, Span> } {
    const values = new Map<string, Span>()
    for (const { name, value } of members(this.#bytes, span)) {
      if (only && !only.includes(name)) {
        if (only.some((known) => known.toLowerCase() === name.toLowerCase()))
          this.ambiguity ??= `${name} differs from a known member only in letter case`
        continue
      }
      if (values.has(name)) this.ambiguity ??= `the member ${name.slice(0, 64)} stands twice`
      values.set(name, value)
    }
    const parts = [...values.keys()].sort().map((name) => `${this.#quoted(name, only === undefined)}:${this.#value(values.get(name)!)}`)
    return { text: `{${parts.join(',')}}`, values }
  }

  string(span: Span): string {
    return JSON.parse(this.#token(span)) as string
  }

  #value(span: Span): string {
    const first = this.#bytes[span[0]]
    if (first === 0x7b) return this.object(span).text
    if (first === 0x5b)
      return `[${elements(this.#bytes, span)
        .map((element) => this.#value(element))
        .join(',')}]`
    return first === 0x22 ? this.#quoted(this.string(span), true) : this.#token(span)
  }

  #quoted(text: string, isSeen: boolean): string {
    if (isSeen) this.texts.push(text)
    return JSON.stringify(text)
  }

  #token(span: Span): string {
    return this.#bytes.toString('utf8', span[0], span[1])
  }
}

/** The definition that stands at `span` of a scanned message; undefined for something without a name, which nobody can call. */
export function definitionAt(bytes: Uint8Array, span: Span): Definition | undefined {
  if (bytes[span[0]] !== 0x7b) return undefined
  const reader = new Reader(bytes)
  const { text, values } = reader.object(span, pinned)
  const name = values.get('name')
  if (!name || bytes[name[0]] !== 0x22) return undefined
  return { name: reader.string(name), fingerprint: fingerprintOf(text), text, texts: reader.texts, ambiguity: reader.ambiguity }
}

/** A canonical form for a person to read: descriptions as lines, schemas indented. */
export function readable(text: string): string {
  const definition = JSON.parse(text) as Readonly<Record<string, unknown>>
  const order = ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations']
  return order
    .filter((member) => Object.hasOwn(definition, member))
    .map((member) => {
      const value = definition[member]
      const shown = typeof value === 'string' ? value : JSON.stringify(value, null, 2)
      return shown.includes('\n') ? `${member}:\n${shown.replaceAll(/^/gm, '  ')}\n` : `${member}: ${shown}\n`
    })
    .join('')
}
