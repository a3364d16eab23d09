// A wire carries frames both ways, in order, with back-pressure, and says why it ended.
import type { Frame } from './frame.ts'

/** Names one frame of a resumable stream, so that a reader who comes back can say what it has seen. */
export type EventId = string

/** Where frames go. */
export interface Sink {
  /** Takes the frame in any case; `false` asks the writer to await `room()` before the next one. */
  write(frame: Frame, event?: EventId): boolean
  /** Resolves when the sink can take more, or will never take any again. */
  room(): Promise<void>
}

/** Why a wire ended: the other side finished, we closed it, the path broke, bytes were no frames, a frame was over the limit, or its time to come back ran out. */
export type WireEnd =
  | { readonly why: 'eof' | 'closed' | 'expired' }
  | { readonly why: 'cut' | 'garbage' | 'tooLarge'; readonly problem: string }

export interface Wire extends Sink {
  /** Hands every frame that arrives to `into`, honouring its back-pressure. Called once; nothing arrives before. */
  read(into: Sink): void
  /** Resolves once, when the wire can carry nothing more. Never rejects. */
  readonly ended: Promise<WireEnd>
  /** Ends our side after what was written has left, then the other. */
  close(): Promise<void>
}
