// `Mcp-Param-*` (2026-07-28): a tool's schema may want some of its arguments mirrored in headers (`x-mcp-header`); whoever speaks HTTP for the server checks them.
import { type Frame, stringAt, valueAt } from '../wire/frame.ts'
import type { Sink } from '../wire/wire.ts'
import { UpstreamRefusal } from './leg/ask.ts'
import type { McpHeaders, Outcome } from './exchange.ts'
import { errorFrame, idToken } from './message.ts'
import { type Refusal, mismatchOf } from './modern.ts'
import { decodeHeader, encodeHeader } from './protocol.ts'

const maxListPages = 50

/** As a server sent it: of any shape. */
type Schema = { readonly properties?: unknown; readonly 'x-mcp-header'?: unknown } | null | undefined
type Rule = { readonly header: string; readonly path: readonly string[] }
type Rules = ReadonlyMap<string, readonly Rule[]>
type Mirrored = { readonly header: string; readonly value: unknown }

/** One page of the server's `tools/list`; undefined when it refuses. */
export type ListTools = (cursor: string | undefined) => Promise<Readonly<Record<string, unknown>> | undefined>

/** What the tools of one server want mirrored, read when first needed. */
export class ParamHeaders {
  readonly #list: ListTools
  #rules: Promise<Rules> | undefined

  constructor(list: ListTools) {
    this.#list = list
  }

  /** The schemas may have changed: they are read again when next needed. */
  forget(): void {
    this.#rules = undefined
  }

  /** The headers that belong to a call. */
  async of(frame: Frame): Promise<Record<string, string>> {
    const headers: Record<string, string> = {}
    for (const { header, value } of await this.#mirrored(frame)) headers[nameOf(header)] = encodeHeader(textOf(value))
    return headers
  }

  /** Why the headers of a call do not say what its arguments say, or undefined. Schemas that were read before are read again before a call is refused. */
  async problem(frame: Frame, headers: McpHeaders): Promise<Refusal | undefined> {
    const wasRead = this.#rules !== undefined
    const wrong = (await this.#mirrored(frame)).find((one) => !says(headers, one))
    if (!wrong) return undefined
    if (wasRead) {
      this.forget()
      return this.problem(frame, headers)
    }
    return mismatchOf(`Mcp-Param-${wrong.header}`, headers[nameOf(wrong.header)], textOf(wrong.value))
  }

  async #mirrored(frame: Frame): Promise<Mirrored[]> {
    if (frame.method !== 'tools/call' || !frame.at.arguments) return []
    const rules = (await this.#known()).get(stringAt(frame, frame.at.name) ?? '') ?? []
    if (rules.length === 0) return []
    const given = valueAt(frame, frame.at.arguments)
    return rules
      .map(({ header, path }) => ({ header, value: path.reduce<unknown>(member, given) }))
      .filter(({ value }) => value !== undefined && value !== null)
  }

  /** A server that does not list tools wants nothing mirrored; one that could not be asked is asked again with the next call. */
  async #known(): Promise<Rules> {
    const reading = (this.#rules ??= this.#read())
    try {
      return await reading
    } catch (error) {
      if (this.#rules === reading) this.#rules = undefined
      if (error instanceof UpstreamRefusal) this.#rules = Promise.resolve(new Map())
      return new Map()
    }
  }

  async #read(): Promise<Rules> {
    const found = new Map<string, readonly Rule[]>()
    let cursor: string | undefined
    for (let page = 0; page < maxListPages; page++) {
      const result = await this.#list(cursor)
      const tools = result?.['tools']
      for (const tool of (Array.isArray(tools) ? tools : []) as ({ name?: unknown; inputSchema?: Schema } | null)[]) {
        const rules = rulesIn(tool?.inputSchema, [])
        if (rules.length > 0) found.set(String(tool?.name), rules)
      }
      const next = result?.['nextCursor']
      if (typeof next !== 'string') break
      cursor = next
    }
    return found
  }
}

/** Answers a call with its refusal. */
export function refused(frame: Frame, { code, message, data, status }: Refusal, out: Sink): Outcome {
  out.write(errorFrame(idToken(frame), code, message, data))
  return { is: 'answered', status }
}

function rulesIn(schema: Schema | undefined, path: readonly string[]): Rule[] {
  return Object.entries((schema?.properties ?? {}) as Record<string, Schema>).flatMap(([name, inner]) => {
    const header = inner?.['x-mcp-header']
    return [...(typeof header === 'string' ? [{ header, path: [...path, name] }] : []), ...rulesIn(inner, [...path, name])]
  })
}

function member(inside: unknown, name: string): unknown {
  return typeof inside === 'object' && inside !== null && Object.hasOwn(inside, name)
    ? (inside as Record<string, unknown>)[name]
    : undefined
}

function nameOf(header: string): string {
  return `mcp-param-${header.toLowerCase()}`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Numbers are compared as numbers, all else as text. */
function says(headers: McpHeaders, { header, value }: Mirrored): boolean {
  const given = headers[nameOf(header)]?.trim()
  const decoded = given === undefined ? undefined : decodeHeader(given)
  if (decoded === undefined) return false
  return typeof value === 'number' ? decoded !== '' && Number(decoded) === value : decoded === textOf(value)
}
