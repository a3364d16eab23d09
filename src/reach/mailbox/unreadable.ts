// Mailbox items that are no message for us: sealed to another key, changed, forged or too old. They are kept as they came, for a person to see and perhaps to open with an older key.
import { type KeptFiles, filesAfter, keptFiles } from '../kept-files.ts'

const maxKept = 100

export type UnreadableItem = {
  /** See `digestOf`. */
  readonly id: string
  /** Our wall time in milliseconds. */
  readonly cameAt: number
  readonly code: string
  readonly problem: string
  /** The item, base64. */
  readonly sealed: string
}

/** For the one process that receives. */
export function unreadableWriter(folder: string): KeptFiles<UnreadableItem> {
  return keptFiles(folder, maxKept, { read: readItem, keyOf: ({ id }) => id })
}

/** Those that are kept, oldest first, each with the name of its file. */
export function unreadableItems(folder: string): (UnreadableItem & { readonly file: string })[] {
  return filesAfter(folder, '', readItem).map(({ place, value }) => ({ ...value, file: place }))
}

function readItem(value: unknown): UnreadableItem | undefined {
  const item = value as Partial<UnreadableItem> | null
  const texts = [item?.id, item?.code, item?.problem, item?.sealed]
  return texts.every((text) => typeof text === 'string') && typeof item?.cameAt === 'number' ? (item as UnreadableItem) : undefined
}
