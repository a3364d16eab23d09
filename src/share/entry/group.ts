// The keys of a group: all follow from its secret and its name, so that whoever knows both is a member.
import { hkdfSync, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secret } from '../../kernel/secret.ts'

export type Group = {
  /** Tells keys apart, and nothing of them. */
  readonly keyId: string
  /** Seals entries: AES-256-GCM. */
  readonly sealKey: Uint8Array
  /** Proves that one is a member. */
  readonly memberKey: Uint8Array
  /** Hides what is asked for, and by whom. */
  readonly nameKey: Uint8Array
}

const rounds = 600_000
const keySizeBytes = 32

/** PBKDF2-HMAC-SHA256 with the group's name as salt (0.2 s of CPU, so that guessing costs), then HKDF for each purpose. */
export async function groupOf(secret: Secret, name: string): Promise<Group> {
  return keysFrom(await promisify(pbkdf2)(secret.reveal(), `fairlead-share/1\n${name.toLowerCase()}`, rounds, keySizeBytes, 'sha256'))
}

/** The same from a key that nobody can guess: of a cache that is alone. */
export function aloneGroup(key: Uint8Array): Group {
  return keysFrom(key)
}

function keysFrom(root: Uint8Array): Group {
  const derive = (purpose: string): Uint8Array => new Uint8Array(hkdfSync('sha256', root, '', `fairlead-share/1 ${purpose}`, keySizeBytes))
  return {
    keyId: Buffer.from(derive('id')).toString('hex', 0, 8),
    sealKey: derive('seal'),
    memberKey: derive('member'),
    nameKey: derive('name'),
  }
}
