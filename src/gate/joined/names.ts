// Names at the endpoint for all upstreams: `upstream__name`, always, so that a tool's name never depends on what else is configured.
import { type Edit, type Frame, type Span, stringAt, token } from '../../base/wire/frame.ts'
import { type McpHeaders } from '../../base/mcp/exchange.ts'
import { encodeHeader } from '../../base/mcp/protocol.ts'

/** No upstream's name has an underscore, so the first two in a row end it. */
const mark = '__'

export type Named = { readonly upstream: string; readonly name: string }

/** The upstream and the name that it knows; undefined for what is no such name. */
export function splitName(full: string | undefined): Named | undefined {
  const at = full?.indexOf(mark) ?? -1
  return at > 0 ? { upstream: full!.slice(0, at), name: full!.slice(at + mark.length) } : undefined
}

/** What stands before the first character of a name that is a string at `span`, so that nothing else of it changes. */
export function prefixing(upstream: string, span: Span): Edit {
  return { span: [span[0] + 1, span[0] + 1], with: Buffer.from(upstream + mark) }
}

/** Takes the upstream's name off the string at `span`. */
export function unprefixing(frame: Frame, span: Span): Edit {
  const { upstream, name } = splitName(stringAt(frame, span))!
  const written = token(frame, span)
  const head = `"${upstream}${mark}`
  return { span, with: Buffer.from(written.startsWith(head) ? `"${written.slice(head.length)}` : JSON.stringify(name)) }
}

/** The headers of a message that names this at its upstream. */
export function headersNaming(headers: McpHeaders, name: string): McpHeaders {
  return Object.hasOwn(headers, 'mcp-name') ? { ...headers, 'mcp-name': encodeHeader(name) } : headers
}
