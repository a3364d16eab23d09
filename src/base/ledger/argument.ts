// How the arguments of a call enter a ledger: as a salted digest, so that nobody can guess them, and their owner can show them entry by entry.
import { createHash, createHmac, hash } from 'node:crypto'
import type { Secret } from '../../kernel/secret.ts'

/**
 * The salt of entry `seq`: HMAC-SHA-256 with the ledger's secret over the number in decimal digits. To show the arguments of one entry, show this salt:
 * it tells nothing about other entries.
 */
export function argumentSalt(secret: Secret, seq: number): Buffer {
  return createHmac('sha256', secret.reveal()).update(String(seq)).digest()
}

/** SHA-256(salt ‖ bytes) as 43 characters of base64url. `seq` is `ledger.next`, read in the same run of code as the append that follows. */
export type ArgumentDigest = (seq: number, bytes: Uint8Array) => string

const blockBytes = 64
const saltBytes = 32
/** Longer arguments are hashed where they lie, not copied. */
const copiedBytes = 4_096

/**
 * The digests of one ledger. HMAC is written out (RFC 2104: two hashes, of the inner and of the outer padded key), since a hash in one call costs 0.3 µs where
 * each object of node:crypto costs 2: this stands in the way of every call. Costs 1 µs and the hashing of the bytes.
 */
export function argumentDigests(secret: Secret): ArgumentDigest {
  const given = Buffer.from(secret.reveal())
  const key = Buffer.alloc(blockBytes)
  if (given.length > blockBytes) createHash('sha256').update(given).digest().copy(key)
  else given.copy(key)
  const inner = Buffer.alloc(blockBytes + String(Number.MAX_SAFE_INTEGER).length)
  const outer = Buffer.alloc(blockBytes + saltBytes)
  for (const [at, byte] of key.entries()) {
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }
  const salted = Buffer.alloc(saltBytes + copiedBytes)
  return (seq, bytes) => {
    const innerBytes = blockBytes + inner.write(String(seq), blockBytes, 'latin1')
    outer.write(hash('sha256', inner.subarray(0, innerBytes), 'latin1'), blockBytes, 'latin1')
    salted.write(hash('sha256', outer, 'latin1'), 0, 'latin1')
    if (bytes.length > copiedBytes) return createHash('sha256').update(salted.subarray(0, saltBytes)).update(bytes).digest('base64url')
    salted.set(bytes, saltBytes)
    return hash('sha256', salted.subarray(0, saltBytes + bytes.length), 'base64url')
  }
}
