// Seals bytes in the age format (age-encryption.org/v1), which Debian's age opens too: with a passphrase, or for the keys of recipients.
import type { Decrypter } from 'age-encryption'
import { faults } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'

export const fault = faults('age', {
  bad_recipient: (d: { problem: string }) => ({
    kind: 'usage',
    message: `this is no age recipient: ${d.problem}`, // it is not repeated: it may be the key itself
    hint: 'it begins with age1; "age-keygen -o key.txt" makes a key and prints it',
  }),
  bad_key: () => ({
    kind: 'usage',
    message: 'the key file holds no age key',
    hint: 'a line of it begins with AGE-SECRET-KEY-1, as "age-keygen -o key.txt" writes it',
  }),
  not_age: (d: { what: string }) => ({ kind: 'usage', message: `${d.what} is no age file`, hint: 'is it the right file? is it whole?' }),
  not_opened: (d: { what: string; problem: string }) => ({
    kind: 'unauthenticated',
    message: `${d.what} does not open: ${d.problem}`,
    hint: 'is it the right passphrase or key?',
  }),
  damaged: (d: { what: string; problem: string }) => ({
    kind: 'conflict',
    message: `${d.what} was changed or cut off: ${d.problem}`,
    hint: 'take another copy of it',
  }),
})

/** Who can open it: whoever knows the passphrase, or the owner of any of the keys (`age1…`). */
export type AgeSeal = { readonly passphrase: Secret } | { readonly recipients: readonly string[] }
/** `keys` is the text of a key file, as age-keygen writes it. */
export type AgeKey = { readonly passphrase: Secret } | { readonly keys: Secret }

const magic = 'age-encryption.org/v1\n'

/** How a sealed file is to be opened, or undefined when it is none. */
export function ageKind(sealed: Uint8Array): 'passphrase' | 'key' | undefined {
  const head = Buffer.from(sealed.subarray(0, magic.length + 10)).toString('latin1')
  if (!head.startsWith(magic)) return undefined
  return head.slice(magic.length).startsWith('-> scrypt ') ? 'passphrase' : 'key'
}

/** Seals all of it; a passphrase costs a second (scrypt at 2^18, as age does). Fault `age.bad_recipient`. */
export async function ageSeal(bytes: Uint8Array, to: AgeSeal): Promise<Uint8Array> {
  const { Encrypter } = await import('age-encryption')
  const encrypter = new Encrypter()
  if ('passphrase' in to) encrypter.setPassphrase(to.passphrase.reveal().normalize('NFC'))
  else for (const recipient of to.recipients) addRecipient(encrypter, recipient)
  return encrypter.encrypt(bytes)
}

function addRecipient(encrypter: { addRecipient(text: string): void }, recipient: string): void {
  try {
    encrypter.addRecipient(recipient)
  } catch (error) {
    throw fault.bad_recipient({ problem: (error as Error).message })
  }
}

/** Opens all of it; `what` names it in faults. More than scrypt at 2^20 is not tried. Faults: `age.not_age`, `.bad_key`, `.not_opened`, `.damaged`. */
export async function ageOpen(sealed: Uint8Array, key: AgeKey, what: string): Promise<Uint8Array> {
  if (!ageKind(sealed)) throw fault.not_age({ what })
  const { Decrypter } = await import('age-encryption')
  const decrypter = new Decrypter()
  if ('passphrase' in key) decrypter.addPassphrase(key.passphrase.reveal().normalize('NFC'))
  else addKeys(decrypter, key.keys)
  let opened: ReadableStream<Uint8Array>
  try {
    opened = await decrypter.decrypt(new Blob([Uint8Array.from(sealed)]).stream())
  } catch (error) {
    throw fault.not_opened({ what, problem: (error as Error).message }, error)
  }
  try {
    const parts: Uint8Array[] = []
    for await (const part of opened) parts.push(part)
    return Buffer.concat(parts)
  } catch (error) {
    throw fault.damaged({ what, problem: (error as Error).message }, error)
  }
}

function addKeys(decrypter: Decrypter, keys: Secret): void {
  const lines = keys
    .reveal()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (lines.length === 0) throw fault.bad_key({})
  try {
    for (const line of lines) decrypter.addIdentity(line)
  } catch {
    throw fault.bad_key({}) // not the cause: it may repeat a part of the key
  }
}
