// Gives credentials new values: what was known to somebody is worth nothing any more. The values are told to nobody; they lie in secrets.env, which root alone can read.
import { readText, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'

const secretBytes = 32

/** Replaces each name's value in secrets.env by a random one, and adds those that are not there; other lines stay as they are. */
export function rotateSecrets(path: string, names: readonly string[]): void {
  const lines = (readText(path) ?? '').split('\n')
  for (const name of names) {
    const line = `${name}=${randomId(secretBytes)}`
    const at = lines.findIndex((one) => one.startsWith(`${name}=`))
    if (at >= 0) lines[at] = line
    else lines.splice(lines.at(-1) === '' ? -1 : lines.length, 0, line)
  }
  writeWhole(path, `${lines.join('\n').trimEnd()}\n`)
}
