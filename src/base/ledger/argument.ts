// How the arguments of a call enter a ledger: as a salted digest, so that nobody can guess them, and their owner can show them entry by entry.
import { createHash, createHmac } from 'node:crypto'
import type { Secret } from '../../kernel/secret.ts'

/**
 * The salt of entry `seq`: HMAC-SHA-256 with the ledger's secret over the number in decimal digits. To show the arguments of one entry, show this salt:
 * it tells nothing about other entries.
 */
export function argumentSalt(secret: Secret, seq: number): Buffer {
  return createHmac('sha256', secret.reveal()).update(String(seq)).digest()
}

/** SHA-256(salt ‖ bytes) as 43 characters of base64url. `seq` is `ledger.next`, read in the same run of code as the append that follows. Costs 4 µs and the hashing of the bytes. */
export function argumentDigest(secret: Secret, seq: number, bytes: Uint8Array): string {
  return createHash('sha256').update(argumentSalt(secret, seq)).update(bytes).digest('base64url')
}
