// What is said about a message that cannot go on: an error for the request that it is, or that it would have answered, so that nobody waits in vain for it.
import type { Fault } from '../../kernel/fault.ts'
import type { Frame } from './frame.ts'
import { rescan } from './scan.ts'

/** JSON-RPC's "server error". */
const serverError = -32_000

/**
 * An error response. `id` is the request's id as it stood in its JSON (a string keeps its quotes), `null` when it cannot be known; `code` is JSON-RPC's;
 * `data.reason` is the fault's code.
 */
export function errorAnswer(id: string, code: number, fault: Fault): Frame {
  const error = { code, message: fault.message, data: { reason: fault.code, ...(fault.hint ? { hint: fault.hint } : {}) } }
  return rescan(Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`))
}

/** Over the limit, or over the budget: the message may be a good one, but it cannot go on. */
export function isTooMuch({ code }: Pick<Fault, 'code'>): boolean {
  return code === 'wire.too_large' || code === 'wire.no_room'
}

/** The answer to a line that is no frame: −32700 for bytes that are not JSON, −32600 for a message that cannot be accepted, −32000 for one over the limit or the budget. */
export function badLineAnswer(problem: Fault): Frame {
  const code = problem.code === 'wire.not_json' ? -32_700 : isTooMuch(problem) ? serverError : -32_600
  const id = problem.details['id']
  return errorAnswer(typeof id === 'string' ? id : 'null', code, problem)
}

/** What whoever asked gets in place of an answer that was too large or can be read in two ways; undefined for a problem with anything else. */
export function insteadOfAnswer(problem: Fault): Frame | undefined {
  const { details, hint, code } = problem
  const { answers } = details
  if (typeof answers !== 'string' && answers !== null) return undefined
  const message = code === 'wire.too_large' ? `the answer is larger than ${Number(details['maxFrameBytes'])} bytes` : problem.message
  return rescan(
    Buffer.from(
      `{"jsonrpc":"2.0","id":${answers ?? 'null'},"error":${JSON.stringify({ code: serverError, message, data: { code, hint } })}}`,
    ),
  )
}

/** As `LinesOptions.onBadLine`, for lines of a client, to whom `back` leads: each is answered, and the session lives on. */
export function answeredLine(problem: Fault, back: (frame: Frame) => unknown): 'skip' | Frame {
  const instead = typeof problem.details['answers'] === 'string' ? insteadOfAnswer(problem) : undefined
  if (instead) return instead
  back(badLineAnswer(problem))
  return 'skip'
}

/** The same for lines of a server: what is too large is answered, or passed on as an error; undefined for anything else, which no server says. */
export function tooLargeLine(problem: Fault, back: (frame: Frame) => unknown): 'skip' | Frame | undefined {
  const instead = insteadOfAnswer(problem)
  if (instead) return instead
  if (!isTooMuch(problem) || typeof problem.details['id'] !== 'string') return undefined
  back(badLineAnswer(problem))
  return 'skip'
}
