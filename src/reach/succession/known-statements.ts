// The statements about keys that this machine has met (`statements.json` beside the wallet). Each is judged by its own signatures when the file is read, so that
// the file need not be trusted: a damaged one is the same as none, and whoever needs its statements asks for them again.
import { dirname } from 'node:path'
import { makeFolder, readText, statOf, writeWhole } from '../../kernel/file.ts'
import { type Standing, type Statement, isNews, readStatements, standingOf, statementsText } from './statement.ts'

/** Keys of which statements are kept: those of peers that we authorize or talk to. */
const maxKeys = 1_024

export interface KnownStatements {
  standing(peerId: string): Standing
  /** What the key said. */
  of(peerId: string): Statement | undefined
  /** Notes what is new; whether there was something. */
  add(statements: readonly Statement[]): boolean
  /** Another text whenever another process, or this one, has noted something. */
  mark(): string
}

export function knownStatements(path: string): KnownStatements {
  let known = new Map<string, Statement>()
  let seen = ''
  const mark = (): string => {
    const stat = statOf(path)
    return stat ? [stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(' ') : ''
  }
  const current = (): Map<string, Statement> => {
    const now = mark()
    if (now !== seen) {
      known = new Map()
      note(known, statementsIn(readText(path)))
      seen = now
    }
    return known
  }
  return {
    mark,
    of: (peerId) => current().get(peerId),
    standing: (peerId) => standingOf(peerId, (id) => current().get(id)),
    add(statements) {
      if (statements.length === 0 || !note(current(), statements)) return false
      makeRoom(known)
      makeFolder(dirname(path))
      writeWhole(path, `${JSON.stringify({ statements: statementsText([...known.values()]) }, undefined, 2)}\n`)
      seen = mark()
      return true
    },
  }
}

function note(known: Map<string, Statement>, statements: readonly Statement[]): boolean {
  let isNew = false
  for (const statement of statements) {
    if (!isNews(known.get(statement.peerId), statement)) continue
    known.set(statement.peerId, statement)
    isNew = true
  }
  return isNew
}

/** The oldest that was only rotated goes first. */
function makeRoom(known: Map<string, Statement>): void {
  while (known.size > maxKeys) {
    const oldest = [...known.keys()].find((id) => known.get(id)?.says === 'rotated')
    known.delete(oldest ?? known.keys().next().value!)
  }
}

function statementsIn(text: string | undefined): Statement[] {
  try {
    const { statements } = JSON.parse(text ?? '{}') as { statements?: unknown }
    return readStatements(statements, maxKeys) ?? []
  } catch {
    return []
  }
}
