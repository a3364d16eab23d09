// Reads the configuration again when it is asked to, and when its file has changed; one that is bad leaves the running one in force.
import type { Clock } from '../kernel/clock.ts'
import { asFault } from '../kernel/fault.ts'
import { changeMark } from '../kernel/file.ts'
import type { Log } from '../kernel/log.ts'
import type { Gate } from './gate.ts'

/** How long a change may go unnoticed. */
const lookEveryMs = 500

export type ReloadingNeeds = {
  readonly clock: Clock
  readonly log: Log
  readonly gate: Pick<Gate, 'reload'>
  /** Calls what it is given when somebody asks for it; returns what undoes that. */
  readonly onAsked: (reload: () => void) => () => void
}

/**
 * Watches `file` until the returned function is called; `mark`: its `changeMark` when it was read for the start. A file that is being written is read once it has stood
 * still between two looks.
 */
export function keepReloading({ clock, log, gate, onAsked }: ReloadingNeeds, file: string, mark: string): () => void {
  let isOver = false
  let cancel = (): void => {}
  let taken = mark
  let seen = taken

  const reload = async (): Promise<void> => {
    taken = seen = changeMark(file)
    try {
      await gate.reload()
    } catch (error) {
      log.error('gate.reload.kept', { file, inForce: 'what it said before', error: asFault(error) })
    }
  }
  const look = (): void => {
    const now = changeMark(file)
    if (now === seen && now !== taken) void reload()
    seen = now
    if (!isOver) cancel = clock.after(lookEveryMs, look)
  }
  cancel = clock.after(lookEveryMs, look)
  const forget = onAsked(() => void reload())
  return () => {
    isOver = true
    cancel()
    forget()
  }
}
