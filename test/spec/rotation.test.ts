// The language-neutral cases of spec/vectors/rotation: each statement is opened, and each peer id stands, as spec/rotation.md says.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createIdentity } from '../../src/base/identity/identity.ts'
import { asFault } from '../../src/kernel/fault.ts'
import { openStatement, openedStatements, signRevocation, signRotation, standingAmong } from '../../src/reach/succession/statement.ts'

type Said = { readonly says: string; readonly peerId: string; readonly at: number; readonly next?: string; readonly reason?: string }
type Expected = {
  readonly seeds: readonly string[]
  readonly statements: readonly { readonly name: string; readonly statement: string; readonly outcome: string; readonly said?: Said }[]
  readonly standings: readonly {
    readonly name: string
    readonly statements: readonly string[]
    readonly peerId: string
    readonly standing: { readonly is: string }
  }[]
}

const file = join(import.meta.dirname, '../../spec/vectors/rotation/expected.json')
const { seeds, statements, standings } = JSON.parse(readFileSync(file, 'utf8')) as Expected
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex')
const outcomes: Readonly<Record<string, string>> = {
  'statement.malformed': 'malformed',
  'record.malformed': 'malformed',
  'record.bad_signature': 'bad signature',
  'record.expired': 'expired',
}

test.each(statements)('$name: $outcome', ({ statement, outcome, said }) => {
  let found: object
  try {
    const { signed, ...rest } = openStatement(bytes(statement))
    expect(Buffer.from(signed).toString('hex')).toBe(statement)
    found = { outcome: 'opened', said: rest }
  } catch (error) {
    found = { outcome: outcomes[asFault(error).code] ?? String(error) }
  }
  expect(found).toEqual({ outcome, ...(said === undefined ? {} : { said }) })
})

test.each(standings)('$name: $standing.is', ({ statements: signed, peerId, standing }) => {
  expect(standingAmong(peerId, openedStatements(signed.map(bytes)))).toMatchObject(standing)
})

test('what is opened is what we write, byte for byte', async () => {
  const identities = seeds.map((seed) => createIdentity(bytes(seed)))
  const of = (peerId: string | undefined) => identities.find((identity) => identity.peerId === peerId)!
  const plain = statements.filter(({ outcome, name }) => outcome === 'opened' && name !== 'a member that is not known')
  expect(plain.length).toBeGreaterThan(3)
  for (const { statement, said } of plain) {
    const { says, peerId, at, next, reason } = said!
    const written = await (says === 'rotated' ? signRotation(of(peerId), of(next), at) : signRevocation(of(peerId), at, reason))
    expect(Buffer.from(written).toString('hex')).toBe(statement)
  }
})
