// What the ledger asks of a disk, so that a test can hand in one that fails.
import { fdatasync, writeSync } from 'node:fs'

export interface Disk {
  /** Appends all bytes or throws; some of them may have been written then. */
  append(file: number, bytes: Uint8Array): void
  /** Resolves when what was appended survives a loss of power. */
  sync(file: number): Promise<void>
}

export const systemDisk: Disk = {
  append(file, bytes) {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
  },
  sync: (file) =>
    new Promise((resolve, reject) => {
      fdatasync(file, (error) => (error ? reject(error) : resolve()))
    }),
}
