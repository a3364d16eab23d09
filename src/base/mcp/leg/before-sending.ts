// Whether a message that came to nothing may have reached its server: this is the one place that says it.
import { type Fault, asFault } from '../../../kernel/fault.ts'
import type { Outcome } from '../exchange.ts'
import { fault } from './wire.ts'

/** A message was certainly never sent: what had to be done before failed. Whatever else is thrown leaves that open. */
export class Unsent extends Error {
  readonly fault: Fault

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.fault = faultOf(cause)
  }
}

/** The same promise of a step that a message waits for (its server is opened, say); what that throws becomes `Unsent`. */
export function beforeSending<T>(step: Promise<T>): Promise<T> {
  return step.catch((error: unknown) => {
    throw error instanceof Unsent ? error : new Unsent(error)
  })
}

/** How a message ended whose handling threw: `notSent` only for `Unsent`. */
export function outcomeOf(error: unknown): Outcome {
  return error instanceof Unsent ? { is: 'notSent', fault: error.fault } : { is: 'unknown', fault: asFault(error) }
}

/** That a server was lost says that a call may have taken effect; what was lost here was a greeting of ours. */
function faultOf(cause: unknown): Fault {
  const known = asFault(cause)
  if (known.code !== 'upstream.lost') return known
  const { upstream, reason } = known.details as { readonly upstream: string; readonly reason: string }
  return fault.unready({ upstream, reason }, cause)
}
