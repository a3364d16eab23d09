// JSON-RPC answers that we make ourselves, when nobody behind us can: an error for one request, as a scanned frame.
import type { Fault } from '../../kernel/fault.ts'
import type { Frame } from '../../base/wire/frame.ts'
import { scan } from '../../base/wire/scan.ts'

/**
 * An error response. `id` is the request's id as it stood in its JSON (a string keeps its quotes), `null` when it cannot be known; `code` is JSON-RPC's;
 * `data.reason` is the fault's code.
 */
export function errorAnswer(id: string, code: number, fault: Fault): Frame {
  const error = { code, message: fault.message, data: { reason: fault.code, ...(fault.hint ? { hint: fault.hint } : {}) } }
  return scan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`))
}

/** The answer to a line that is no frame: −32700 for bytes that are not JSON, −32600 for a message that cannot be accepted, −32000 for one over the limit. */
export function badLineAnswer(problem: Fault): Frame {
  const code = problem.code === 'wire.not_json' ? -32700 : problem.code === 'wire.too_large' ? -32000 : -32600
  const id = problem.details['id']
  return errorAnswer(typeof id === 'string' ? id : 'null', code, problem)
}
