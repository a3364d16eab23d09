// Gives credentials new values: what was known to somebody is worth nothing any more. The values are told to nobody; they lie in secrets.env, which root alone can read.
import { readText, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'

const secretBytes = 32

/** Replaces each name's value in secrets.env by a random one, and adds those that are not there; other lines stay as they are. Of several lines of one name systemd takes the last: one is left. */
export function rotateSecrets(path: string, names: readonly string[]): void {
  let lines = (readText(path) ?? '').trimEnd().split('\n')
  for (const name of names) {
    const fresh = `${name}=${randomId(secretBytes)}`
    const isOf = (line: string): boolean => line.trimStart().startsWith(`${name}=`)
    const at = lines.findIndex(isOf)
    lines = lines.flatMap((line, index) => (index === at ? [fresh] : isOf(line) ? [] : [line]))
    if (at < 0) lines.push(fresh)
  }
  writeWhole(path, `${lines.join('\n').trimStart()}\n`)
}
