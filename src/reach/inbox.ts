// The messages that came, a file each, so that every process can read what the one that is the host receives. The oldest make room for the newest.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, readText, removeFile, statOf, writeWhole } from '../kernel/file.ts'
import type { FileFacts } from '../base/transfer/outgoing-file.ts'
import type { Message } from './message.ts'

/** Messages that are kept. */
export const maxKept = 1_000

export type KeptMessage = Message & {
  /** Our wall time in milliseconds. */
  readonly receivedAt: number
  /** It is a file, not a text: `name` is the one in the folder of downloads. */
  readonly file?: FileFacts & { readonly name: string }
}

/** Names sort in the order of arrival: milliseconds of wall time, made to grow where the clock does not. */
const namePattern = /^\d{15}\.json$/

function namesIn(folder: string): string[] {
  if (!statOf(folder)) return []
  return readdirSync(folder)
    .filter((name) => namePattern.test(name))
    .sort()
}

export interface InboxWriter {
  add(message: KeptMessage): void
}

/** The inbox in `folder`, for the one process that receives: in it there may be several of these. */
export function inboxWriter(folder: string, most = maxKept): InboxWriter {
  makeFolder(folder)
  return {
    add(message) {
      const names = namesIn(folder)
      const last = Math.max(Number(names.at(-1)?.slice(0, 15) ?? 0) + 1, message.receivedAt)
      const name = `${String(last).padStart(15, '0')}.json`
      writeWhole(join(folder, name), `${JSON.stringify(message)}\n`)
      names.push(name)
      while (names.length > most) removeFile(join(folder, names.shift()!))
    },
  }
}

/** The place after the newest message. */
export function endOfInbox(folder: string): string {
  return namesIn(folder).at(-1) ?? ''
}

/** The messages that came after `place`, oldest first, each with its own place. What cannot be read, or was removed meanwhile, is left out. */
export function messagesAfter(folder: string, place = ''): { readonly place: string; readonly message: KeptMessage }[] {
  return namesIn(folder)
    .filter((name) => name > place)
    .flatMap((name) => {
      const message = readMessage(join(folder, name))
      return message ? [{ place: name, message }] : []
    })
}

function readMessage(path: string): KeptMessage | undefined {
  try {
    const message = JSON.parse(readText(path) ?? 'null') as Partial<KeptMessage> | null
    const texts = [message?.from, message?.to, message?.id, message?.text]
    const numbers = [message?.sentAt, message?.receivedAt]
    const file = message?.file
    const isFile = file === undefined || (typeof file?.name === 'string' && typeof file.sizeBytes === 'number')
    return isFile && texts.every((text) => typeof text === 'string') && numbers.every((number) => typeof number === 'number')
      ? (message as KeptMessage)
      : undefined
  } catch {
    return undefined
  }
}
