// A child process as a wire: MCP's stdio transport, one line a frame, with a bound on how much of its stdout may be something else.
import type { Log } from '../../kernel/log.ts'
import { tooLargeLine } from '../wire/bad-line.ts'
import { linesWire } from '../wire/lines.ts'
import type { ScanLimits } from '../wire/walk.ts'
import type { Sink, Wire } from '../wire/wire.ts'
import type { Child } from './child.ts'

/** Lines that are no frames and are skipped: a greeting or a stray debug line harms nobody, a program that speaks no MCP is ended. */
const garbageLimits = { inARow: 16, inAll: 100 } as const

export type ChildWireOptions = { readonly limits?: ScanLimits; readonly log: Log; readonly name: string }

/**
 * Frames to and from the child's stdin and stdout. Lines that are no frames are skipped and logged; the 17th in a row, or the 101st in all, ends the
 * wire as `garbage` (`tooLarge` if it was too long). An answer over the frame limit arrives as an error, under the id that its first or last bytes tell, or
 * null; a request of the child over it is answered with one. When the wire ends, for whatever reason, the child is stopped; `close()` resolves when it is gone.
 */
export function childWire(child: Child, { limits, log, name }: ChildWireOptions): Wire {
  let inARow = 0
  let inAll = 0
  const wire = linesWire(child.stdout, child.stdin, {
    ...(limits ? { limits } : {}),
    onBadLine(problem) {
      const tooLarge = tooLargeLine(problem, (frame) => wire.write(frame))
      if (tooLarge && problem.details['answers'] !== null) {
        log.warn('supervise.child.unacceptable', { name, pid: child.pid, problem: problem.message })
        return tooLarge
      }
      inARow++
      inAll++
      log.warn('supervise.child.garbage', { name, pid: child.pid, problem: problem.message, inAll })
      if (inARow > garbageLimits.inARow || inAll > garbageLimits.inAll) return 'end'
      return tooLarge ?? 'skip'
    },
  })
  const counting = (into: Sink): Sink => ({
    write(frame, event) {
      inARow = 0
      return into.write(frame, event)
    },
    room: () => into.room(),
  })
  void wire.ended.then(() => child.stop()) // neither ever rejects
  return {
    ended: wire.ended,
    write: (frame) => wire.write(frame),
    room: () => wire.room(),
    read: (into) => wire.read(counting(into)),
    close: async () => {
      await wire.close() // the child is being stopped meanwhile: one that reads nothing would never let the last frames leave
      await child.gone
    },
  }
}
