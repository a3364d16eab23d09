// The client's end of `mcp-connect`: its stdin and stdout as a wire, where a line that is no message is answered and the session lives on.
import type { Readable, Writable } from 'node:stream'
import { answeredLine } from '../../base/wire/bad-line.ts'
import { linesWire } from '../../base/wire/lines.ts'
import type { ScanLimits } from '../../base/wire/walk.ts'
import type { Wire } from '../../base/wire/wire.ts'

/** Lines to and from an MCP client (stdio transport). Invalid JSON is answered with −32700, what cannot be accepted with −32600, what is too long with −32000. */
export function stdioWire(stdin: Readable, stdout: Writable, limits?: ScanLimits): Wire {
  const wire = linesWire(stdin, stdout, {
    ...(limits ? { limits } : {}),
    onBadLine: (problem) => answeredLine(problem, (frame) => wire.write(frame)),
  })
  return wire
}
