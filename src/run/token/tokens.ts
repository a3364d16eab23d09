// The tokens of a node: made here, known by their SHA-256 alone, kept in one file of the node's folder.
import { tokenHash } from '../../base/access/principal.ts'
import type { Clock } from '../../kernel/clock.ts'
import { readText, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { type Role, type TokenKept, type TokenShown, tokenFile } from './api.ts'
import { fault } from './faults.ts'

const maxTokens = 10_000
const tokenBytes = 32

export type NewToken = { readonly name: string; readonly role: Role; readonly services: readonly string[]; readonly forMs: number }

/** The tokens that the node made itself. One process writes the file. */
export interface Tokens {
  /** The token is told here and nowhere else. Faults `token.name_taken`, `.too_many`. */
  mint(asked: NewToken): TokenShown & { readonly token: string }
  list(): readonly TokenShown[]
  /** Ends it at once. Fault `token.none`. */
  revoke(name: string): void
  /** Who shows a token with this hash; one that has expired is found, too. */
  byHash(sha256: string): TokenShown | undefined
}

/** Fault `token.unreadable` for a file that is not whole: nobody is let in by a guess. */
export function openTokens({ clock }: { readonly clock: Pick<Clock, 'now'> }, { path }: { readonly path: string }): Tokens {
  const kept = read(path)
  const save = (tokens: readonly TokenKept[]): void => {
    writeWhole(path, `${JSON.stringify({ schema: 1, tokens }, undefined, 2)}\n`)
    kept.clear()
    for (const token of tokens) kept.set(token.sha256, token)
  }
  const all = (): TokenKept[] => [...kept.values()]
  return {
    mint({ name, role, services, forMs }) {
      const now = clock.now()
      const others = all().filter((one) => one.name !== name || one.expiresAt > now) // a name is free again when its token has expired
      if (others.some((one) => one.name === name)) throw fault.name_taken({ name })
      if (others.length >= maxTokens) throw fault.too_many({ most: maxTokens })
      const token = `mcp_${randomId(tokenBytes)}`
      const shown = { name, role, services: [...services], createdAt: now, expiresAt: now + forMs }
      save([...others, { ...shown, sha256: tokenHash(token) }])
      return { ...shown, token }
    },
    list: () => all().map(shownOf),
    revoke(name) {
      const others = all().filter((one) => one.name !== name)
      if (others.length === kept.size) throw fault.none({ name })
      save(others)
    },
    byHash(sha256) {
      const found = kept.get(sha256)
      return found && shownOf(found)
    },
  }
}

function shownOf(kept: TokenKept): TokenShown {
  const { sha256, ...shown } = kept
  void sha256 // nobody needs it who has not the token
  return shown
}

function read(path: string): Map<string, TokenKept> {
  const text = readText(path)
  if (text === undefined) return new Map()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw fault.unreadable({ path }, error)
  }
  const found = tokenFile.safeParse(value)
  if (!found.success) throw fault.unreadable({ path }, found.error)
  return new Map(found.data.tokens.map((token) => [token.sha256, token]))
}
