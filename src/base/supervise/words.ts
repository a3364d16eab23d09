// Splits a command line that a person wrote into argv, by the quoting rules of a POSIX shell and nothing else of it: `$`, `;`, `*`, `#` are letters.
import { fault } from './faults.ts'

const blank = /[ \t\n]/

/**
 * `npx -y server '/a folder'` → `['npx', '-y', 'server', '/a folder']`. Single quotes keep everything; double quotes and a bare backslash escape as in
 * POSIX.1-2024, Shell Command Language §2.2. Nothing is expanded. Faults: `supervise.bad_words` for an open quote, a last backslash, NUL, or no word.
 */
export function splitWords(line: string): [string, ...string[]] {
  const bad = (problem: string): Error => fault.bad_words({ line, problem })
  if (line.includes('\0')) throw bad('a NUL character')
  const words: string[] = []
  let word: string | undefined
  for (let at = 0; at < line.length; at++) {
    const letter = line[at]!
    if (blank.test(letter)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (letter === "'") {
      const end = line.indexOf("'", at + 1)
      if (end < 0) throw bad("an open '")
      word = (word ?? '') + line.slice(at + 1, end)
      at = end
    } else if (letter === '"') {
      const quoted = doubleQuoted(line, at + 1)
      if (!quoted) throw bad('an open "')
      word = (word ?? '') + quoted.text
      at = quoted.end
    } else if (letter === '\\') {
      const next = line[++at]
      if (next === undefined) throw bad('a \\ with nothing after it')
      if (next !== '\n') word = (word ?? '') + next // an escaped line feed joins two lines
    } else {
      word = (word ?? '') + letter
    }
  }
  if (word !== undefined) words.push(word)
  const [first, ...rest] = words
  if (first === undefined || first === '') throw bad('no command')
  return [first, ...rest]
}

/** The text up to the closing quote, whose place is `end`. */
function doubleQuoted(line: string, from: number): { text: string; end: number } | undefined {
  let text = ''
  for (let at = from; at < line.length; at++) {
    const letter = line[at]!
    if (letter === '"') return { text, end: at }
    const next = line[at + 1]
    if (letter !== '\\' || next === undefined || !'$`"\\\n'.includes(next)) text += letter
    else {
      if (next !== '\n') text += next
      at++
    }
  }
  return undefined
}
