// The messages that came, a file each, so that every process can read what the one that is the host receives. The oldest make room for the newest.
import { type KeptFiles, damagedFiles, endOfFiles, filesAfter, keptFiles } from '../kept-files.ts'
import type { FileFacts } from '../../base/transfer/outgoing-file.ts'
import type { Message } from './message.ts'

/** Messages that are kept. */
export const maxKept = 1_000

export type KeptMessage = Message & {
  /** Our wall time in milliseconds. */
  readonly receivedAt: number
  /** It is a file, not a text: `name` is the one in the folder of downloads. */
  readonly file?: FileFacts & { readonly name: string }
}

export interface InboxWriter {
  add(message: KeptMessage): void
  /** Whether it is kept already: whatever way it came. */
  holds(message: Pick<Message, 'from' | 'id'>): boolean
}

const keyOf = ({ from, id }: Pick<Message, 'from' | 'id'>): string => `${from}/${id}`

/** The inbox in `folder`, for the one process that receives: in it there may be several of these. */
export function inboxWriter(folder: string, most = maxKept): InboxWriter {
  const files: KeptFiles<KeptMessage> = keptFiles(folder, most, { read: readMessage, keyOf })
  return {
    add: (message) => files.add(message.receivedAt, message),
    holds: (message) => files.holds(keyOf(message)),
  }
}

/** The place after the newest message. */
export function endOfInbox(folder: string): string {
  return endOfFiles(folder)
}

/** The messages that came after `place`, oldest first, each with its own place. What cannot be read, or was removed meanwhile, is left out. */
export function messagesAfter(folder: string, place = ''): { readonly place: string; readonly message: KeptMessage }[] {
  return filesAfter(folder, place, readMessage).map(({ place, value }) => ({ place, message: value }))
}

/** Names of files that hold no message. */
export function damagedMessages(folder: string): readonly string[] {
  return damagedFiles(folder, readMessage)
}

function readMessage(value: unknown): KeptMessage | undefined {
  const message = value as Partial<KeptMessage> | null
  const texts = [message?.from, message?.to, message?.id, message?.text]
  const numbers = [message?.sentAt, message?.receivedAt]
  const file = message?.file
  const isFile = file === undefined || (typeof file?.name === 'string' && typeof file.sizeBytes === 'number')
  return isFile && texts.every((text) => typeof text === 'string') && numbers.every((number) => typeof number === 'number')
    ? (message as KeptMessage)
    : undefined
}
