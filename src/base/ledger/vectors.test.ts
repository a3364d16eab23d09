// The language-neutral cases of spec/vectors/ledger; hashes are computed once more here, from the prose of spec/ledger.md alone.
import { createHash, createHmac } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Secret } from '../../kernel/secret.ts'
import { argumentDigests, argumentSalt } from './argument.ts'
import { genesis } from './line.ts'
import { verifyLedger } from './verify.ts'

type Known = { seq: number; hash: string }
type Verdict = {
  intact: boolean
  entries: number
  last?: number
  gaps?: number[][]
  torn?: number
  firstBad?: { file: string; line: number; seq: number; kind: string }
}
type Expected = {
  hashes: Record<string, string>
  arguments: { secret: string; seq: number; bytes: string; salt: string; digest: string }[]
  cases: { name: string; files: Record<string, string>; origin?: string; known?: Known; verdict: Verdict }[]
}

const vectors = join(import.meta.dirname, '../../../spec/vectors/ledger')
const expected = JSON.parse(readFileSync(join(vectors, 'expected.json'), 'utf8')) as Expected
const kinds = ['not a ledger line', 'altered', 'out of order', 'of another chain', 'cut off']

test.each(expected.cases)('$name', async ({ files, origin, known, verdict }) => {
  const folder = mkdtempSync(join(tmpdir(), 'vectors-'))
  try {
    for (const [name, source] of Object.entries(files)) copyFileSync(join(vectors, source), join(folder, name))
    const found = await verifyLedger(folder, { ...(origin === undefined ? {} : { origin }), ...(known ? { known } : {}) })
    const inWords: Verdict = found.intact
      ? {
          intact: true,
          entries: found.entries,
          last: found.last?.seq ?? 0,
          gaps: found.gaps.map(({ from, to }) => [from, to]),
          torn: found.torn.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        }
      : { intact: false, entries: found.entries, firstBad: kinded(found.firstBad) }
    expect(inWords).toEqual(verdict)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

function kinded({
  file,
  line,
  seq,
  problem,
}: {
  file: string
  line: number
  seq: number
  problem: string
}): NonNullable<Verdict['firstBad']> {
  return { file, line, seq, kind: kinds.find((kind) => problem.startsWith(kind)) ?? problem }
}

const sha = (text: string): string => createHash('sha256').update(text).digest('base64url')

test.each(Object.entries(expected.hashes))('the beginning of the ledger %j', (origin, hash) => {
  expect(genesis(origin)).toEqual({ seq: 0, hash })
  expect(sha(`fairlead-ledger/1\n${origin}`)).toBe(hash)
})

test.each(expected.arguments)('arguments of entry $seq', ({ secret, seq, bytes, salt, digest }) => {
  expect(argumentSalt(new Secret(secret), seq).toString('hex')).toBe(salt)
  expect(argumentDigests(new Secret(secret))(seq, Buffer.from(bytes))).toBe(digest)
  const bySpec = createHmac('sha256', secret).update(String(seq)).digest()
  expect(bySpec.toString('hex')).toBe(salt)
  expect(createHash('sha256').update(bySpec).update(bytes).digest('base64url')).toBe(digest)
})

test('every line of the whole ledger is JSON, and hashes as the prose says', () => {
  let prev = expected.hashes['example.org/vectors']!
  const lines = readFileSync(join(vectors, 'whole.jsonl'), 'utf8').split('\n')
  expect(lines.pop()).toBe('')
  for (const [index, line] of lines.entries()) {
    const entry = JSON.parse(line) as { seq: number; prev: string; hash: string }
    expect(entry).toMatchObject({ seq: index + 1, prev })
    expect(sha(`fairlead-ledger/1\n${line.slice(0, -54)}`)).toBe(entry.hash)
    prev = entry.hash
  }
})
