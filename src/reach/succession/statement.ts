// What an identity says of its own key: that another key takes its place (a rotation, which that key signs as well), or that it is worth nothing any more
// (a revocation). Whoever passes a statement on does not matter. The format: spec/rotation.md.
import { type Identity, isPeerId } from '../../base/identity/identity.ts'
import { openRecord, signRecord } from '../../base/identity/record.ts'
import { faults } from '../../kernel/fault.ts'

/** The purpose a statement is signed for. */
export const statementContext = 'fairlead/key-statement/1'
/** The purpose for which the new key signs that it takes the place of the old one. */
export const acceptanceContext = 'fairlead/key-acceptance/1'
/** A signed statement is no larger. */
export const maxStatementBytes = 1 << 10
/** Rotations that are followed from one id, at most. */
export const maxRotations = 16
/** Of a revocation's reason, in code points. */
export const maxReasonLength = 200
const reasonPattern = new RegExp(`^[^\\p{C}]{1,${maxReasonLength}}$`, 'u')
/** Statements do not end. */
const never = Number.MAX_SAFE_INTEGER

export const fault = faults('statement', {
  malformed: (d: { problem: string }) => ({ kind: 'usage', message: `not a statement about a key: ${d.problem}` }),
  bad_reason: () => ({ kind: 'usage', message: `a reason has 1 to ${maxReasonLength} visible characters` }),
})

/** `at`: its owner's wall time in milliseconds; `signed`: the bytes that prove it. */
export type Statement = { readonly peerId: string; readonly at: number; readonly signed: Uint8Array } & (
  | { readonly says: 'rotated'; readonly next: string }
  | { readonly says: 'revoked'; readonly reason: string | undefined }
)

/** Signs, by both keys, that `next` takes the place of `old`. */
export async function signRotation(old: Identity, next: Identity, at: number): Promise<Uint8Array> {
  const accepted = await signRecord(next, acceptanceContext, { sequence: at, expiresAt: never, previous: old.peerId })
  return signRecord(old, statementContext, { sequence: at, expiresAt: never, says: 'rotated', next: next.peerId, accepted })
}

/** Signs the end of the identity's own key; fault `statement.bad_reason`. */
export async function signRevocation(identity: Identity, at: number, reason?: string): Promise<Uint8Array> {
  if (reason !== undefined && !isReason(reason)) throw fault.bad_reason({})
  return signRecord(identity, statementContext, { sequence: at, expiresAt: never, says: 'revoked', reason })
}

function isReason(text: unknown): text is string {
  return typeof text === 'string' && reasonPattern.test(text)
}

/** Opens a signed statement, whoever brings it. Faults: `statement.malformed` and those of `openRecord`. */
export function openStatement(signed: Uint8Array): Statement {
  if (signed.length > maxStatementBytes) throw fault.malformed({ problem: `${signed.length} bytes, the limit is ${maxStatementBytes}` })
  const { signer: peerId, body } = openRecord(statementContext, signed, 0)
  const { sequence: at, expiresAt, says, next, accepted, reason } = body
  if (expiresAt !== never) throw fault.malformed({ problem: 'it would end' })
  if (says === 'revoked') {
    if (reason !== undefined && !isReason(reason)) throw fault.malformed({ problem: 'its reason is none' })
    return { says, peerId, at, reason, signed }
  }
  if (says !== 'rotated') throw fault.malformed({ problem: 'it says neither "rotated" nor "revoked"' })
  if (typeof next !== 'string' || !isPeerId(next) || next === peerId) throw fault.malformed({ problem: '"next" is no other peer id' })
  if (!(accepted instanceof Uint8Array)) throw fault.malformed({ problem: 'the new key has not signed' })
  const acceptance = openRecord(acceptanceContext, accepted, 0)
  const isOfBoth =
    acceptance.signer === next &&
    acceptance.body['previous'] === peerId &&
    acceptance.body.sequence === at &&
    acceptance.body.expiresAt === never
  if (!isOfBoth) throw fault.malformed({ problem: 'the new key has signed something else' })
  return { says, peerId, at, next, signed }
}

/** What has become of a key: nothing; another key in its place, by one rotation or several; or its end, which voids its rotation as well. */
export type Standing =
  | { readonly is: 'valid' }
  | { readonly is: 'rotated'; readonly to: string; readonly at: number }
  | { readonly is: 'revoked'; readonly peerId: string; readonly at: number; readonly reason: string | undefined }

/** Follows the rotations from `peerId`. Where they lead in a circle, or too far, no key speaks for that peer. */
export function standingOf(peerId: string, of: (peerId: string) => Statement | undefined): Standing {
  let id = peerId
  let at = 0
  for (let count = 0; count <= maxRotations; count++) {
    const known = of(id)
    if (!known) return count === 0 ? { is: 'valid' } : { is: 'rotated', to: id, at }
    at = known.at
    if (known.says === 'revoked') return { is: 'revoked', peerId: id, at, reason: known.reason }
    id = known.next
  }
  return { is: 'revoked', peerId, at, reason: 'its rotations lead nowhere' }
}

/** The statements among these that can be opened. */
export function openedStatements(signed: readonly Uint8Array[]): Statement[] {
  return signed.flatMap((bytes) => {
    try {
      return [openStatement(bytes)]
    } catch {
      return [] // whoever passed it on may as well have said nothing
    }
  })
}

/**
 * Whether a statement changes what is known of its key. One statement counts for each key: its first rotation, whatever comes later; a revocation, in whose
 * place nothing comes, takes that of a rotation.
 */
export function isNews(known: Statement | undefined, statement: Statement): boolean {
  return !known || (known.says === 'rotated' && statement.says === 'revoked')
}

/** The same among these statements, in whatever order they came. */
export function standingAmong(peerId: string, statements: readonly Statement[]): Standing {
  const known = new Map<string, Statement>()
  for (const one of statements) if (isNews(known.get(one.peerId), one)) known.set(one.peerId, one)
  return standingOf(peerId, (id) => known.get(id))
}

/** Those of the statements that these keys, or the ones in their place, have made. */
export function statementsFrom(peerIds: readonly string[], statements: readonly Statement[]): Statement[] {
  const byKey = Map.groupBy(statements, ({ peerId }) => peerId)
  const found = new Set<Statement>()
  const follow = (id: string, count: number): void => {
    for (const statement of byKey.get(id) ?? []) {
      found.add(statement)
      if (statement.says === 'rotated' && count < maxRotations) follow(statement.next, count + 1)
    }
  }
  for (const id of new Set(peerIds)) follow(id, 0)
  return [...found]
}

/** Those of the statements that lead to this key, one rotation after the other, oldest first. */
export function rotationsTo(peerId: string, statements: readonly Statement[]): Statement[] {
  const found: Statement[] = []
  for (let id = peerId; found.length < maxRotations;) {
    const before = statements.find((statement) => statement.says === 'rotated' && statement.next === id)
    if (!before || found.includes(before)) break
    found.unshift(before)
    id = before.peerId
  }
  return found
}

/** As they are written to files and sent. */
export function statementsText(statements: readonly Statement[]): string[] {
  return statements.map(({ signed }) => Buffer.from(signed).toString('base64url'))
}

/** Reads a list of at most `most` texts from outside, opening what can be opened; undefined when it is no such list. */
export function readStatements(value: unknown, most: number): Statement[] | undefined {
  const isText = (item: unknown): item is string => typeof item === 'string' && item.length <= 2 * maxStatementBytes
  if (!Array.isArray(value) || value.length > most || !value.every(isText)) return undefined
  return openedStatements(value.map((text) => Buffer.from(text, 'base64url')))
}
