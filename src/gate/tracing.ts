// The trace of a request on its way through the gate: found at the door, written into the record, and carried on to the server with a span of our own.
import type { Layer } from '../base/mcp/exchange.ts'
import { traceOf, withTrace, withTraceHeaders } from '../base/mcp/trace.ts'

/** Before the rules and the record. `begins`: also a request that is not traced yet gets a trace. An `initialize` is kept as it came, so it is left alone. */
export function traceLayer(begins: boolean): Layer {
  return (next) => (exchange, out) => {
    const { frame, headers } = exchange
    const isTraced = frame.kind === 'request' && frame.method !== 'initialize'
    const trace = isTraced ? traceOf(frame, headers, begins) : undefined
    return next(trace ? { ...exchange, trace } : exchange, out)
  }
}

/** After the record, which tells of the bytes that the client sent. What is no trace of ours goes no further, be it in headers. */
export const carryLayer: Layer = (next) => (exchange, out) => {
  const { frame, headers, trace } = exchange
  const safe = withTraceHeaders(headers, trace)
  if (!trace) return next(safe === headers ? exchange : { ...exchange, headers: safe }, out)
  return next({ ...exchange, frame: withTrace(frame, trace), headers: safe }, out)
}
