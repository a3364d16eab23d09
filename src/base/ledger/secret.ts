// The secret by which the arguments in a ledger are salted: made when it is first asked for, and kept beside the ledger.
import { readText, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { Secret } from '../../kernel/secret.ts'

/** The secret in the file `path`, which is made when there is none. Faults: `file.*`. */
export function ledgerSecret(path: string): Secret {
  const present = readText(path)
  if (present !== undefined) return new Secret(present.trim())
  const made = randomId(32)
  writeWhole(path, `${made}\n`)
  return new Secret(made)
}
