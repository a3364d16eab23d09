// A body of a connector's message: JSON that is wholly understood, or refused with what is wrong and where.
import type { z } from 'zod'
import { pathText, problemsOf } from '../../base/config/problem.ts'
import { fault } from '../faults.ts'
import { holdsCredential } from './credentials.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const maxProblems = 8
/** Members under which a credential would be sent by those who know no better. */
const secretMember = /^(?:credentials?|token|bearer|authorization|password|passphrase|secret|api_?key)$/i

/** The JSON object in the body. Fault `gate.bad_message`. */
export function objectIn(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(body))
  } catch {
    throw fault.bad_message({ problems: ['the body is no JSON in UTF-8'] })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fault.bad_message({ problems: ['the body is no JSON object'] })
  return value as Record<string, unknown>
}

/** The value as the schema has it. Fault `gate.bad_message`, which repeats no value. */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = problemsOf(schema, value, result.error.issues).map(({ path, problem }) => `${pathText(path) || 'the body'}: ${problem}`)
  throw fault.bad_message({ problems: problems.slice(0, maxProblems) })
}

/** Credentials travel in the Authorization header and nowhere else. Fault `gate.credential_in_body`, which does not repeat it. */
export function refuseCredential(value: unknown, token: string): void {
  if (hasCredential(value, token)) throw fault.credential_in_body({})
}

function hasCredential(value: unknown, token: string): boolean {
  if (typeof value === 'string') return value.includes(token) || holdsCredential(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(
    ([name, inner]) => (secretMember.test(name) && inner !== null) || holdsCredential(name) || hasCredential(inner, token),
  )
}
