// How reach shows tables, times and messages to a person.
import { sizeText } from '../base/terminal/amount.ts'
import { visibleText } from '../base/terminal/visible.ts'
import type { KeptMessage } from './message/inbox.ts'
import { maxSkewMs } from './message/message.ts'

/** `12 s ago`, `3 min ago`, `5 h ago`. */
export function ageText(ageMs: number): string {
  const seconds = Math.floor(ageMs / 1000)
  if (seconds < 120) return `${seconds} s ago`
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3_600)} h ago`
}

/** A message as JSON says it. */
export function messageValue({ from, to, id, sentAt, receivedAt, text, file }: KeptMessage) {
  const times = { sentAt: new Date(sentAt).toISOString(), receivedAt: new Date(receivedAt).toISOString() }
  return { from, to, id, ...times, text, ...(file ? { file } : {}) }
}

/** A message as a person reads it: one line of who and when, then the text, set in so that no line of it passes for one of ours. */
export function messageText({ from, sentAt, receivedAt, text, file }: KeptMessage): string {
  const waited = receivedAt - sentAt > maxSkewMs ? `, sent ${new Date(sentAt).toISOString()}` : ''
  const said = file ? `file: downloads/${file.name} (${sizeText(file.sizeBytes)})` : text
  return `${new Date(receivedAt).toISOString()} from ${from}${waited}\n${visibleText(said).replaceAll(/^/gm, '  ')}`
}
