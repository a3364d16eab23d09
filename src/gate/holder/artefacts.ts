// What runs leave behind, and whether a credential is in it: no file is to hold one, and nothing is written without a look.
import { createReadStream, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { reasonOf } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import { credentialPattern, holdsCredential } from '../connector/credentials.ts'

const anyCredential = new RegExp(credentialPattern, 'g')
const redaction = '[redacted]'
/** A credential may begin in one part of a file and end in the next; none is longer. */
const overlapBytes = 4_096

/** The text with every credential in it replaced: those that are known, and whatever looks like one that the gate made. */
export function withoutCredentials(text: string, tokens: readonly Secret[]): string {
  return tokens.reduce((rest, token) => rest.replaceAll(token.reveal(), redaction), text).replaceAll(anyCredential, redaction)
}

/** The paths of all plain files in the folder and below it, links not followed; none when it is not there. */
export function artefactsIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .toSorted()
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return []
    throw error
  }
}

/** Those of the files in which a credential stands, packed ones (`.gz`) too. */
export async function leaksIn(files: readonly string[], tokens: readonly Secret[], signal: AbortSignal): Promise<readonly string[]> {
  const leaks: string[] = []
  for (const file of files) {
    signal.throwIfAborted()
    if (await holdsAny(file, tokens)) leaks.push(file)
  }
  return leaks
}

async function holdsAny(file: string, tokens: readonly Secret[]): Promise<boolean> {
  const plain = createReadStream(file)
  const stream = file.endsWith('.gz') ? plain.on('error', (error) => stream.destroy(error)).pipe(createGunzip()) : plain
  let before = ''
  try {
    for await (const part of stream as AsyncIterable<Buffer>) {
      const text = before + part.toString('latin1')
      if (holdsCredential(text) || tokens.some((token) => text.includes(token.reveal()))) return true
      before = text.slice(-overlapBytes)
    }
    return false
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return false // it was rotated away meanwhile
    throw error
  } finally {
    plain.destroy()
  }
}
