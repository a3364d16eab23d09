// A mission brief: what it must hold, and what it is known by afterwards.
import { hash } from 'node:crypto'
import { briefSchema } from './api.ts'
import { checked, objectIn } from './message-body.ts'

/** The SHA-256 of a brief that is whole, in hex. Fault `gate.bad_message`. */
export function digestOfBrief(body: Buffer): string {
  checked(briefSchema, objectIn(body))
  return hash('sha256', body, 'hex')
}
