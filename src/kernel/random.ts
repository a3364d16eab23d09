// The only source of randomness: cryptographic, from the operating system.
import { randomBytes as systemBytes } from 'node:crypto'

/** `sizeBytes` unpredictable bytes. */
export function randomBytes(sizeBytes: number): Uint8Array {
  return systemBytes(sizeBytes)
}

/** An unguessable id of visible ASCII (base64url): 144 bits by default. It never begins with `-`: people hand ids to commands, which would take it for a flag. */
export function randomId(sizeBytes = 18): string {
  for (;;) {
    const id = systemBytes(sizeBytes).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

/** A float in [0, 1), for jitter. */
export function randomFraction(): number {
  return systemBytes(4).readUInt32BE() / 2 ** 32
}
