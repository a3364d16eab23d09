// Where this installation's launcher is: what to write into files from which other programs start us, with or without a PATH.
import { basename, isAbsolute, join } from 'node:path'
import type { Context } from './command.ts'

/** The absolute path of `bin/fairlead`, which finds a Node by itself; of the program, where all of it is one executable. */
export function launcherOf(self: Context['self']): string {
  const main = self.find((word, at) => at > 0 && isAbsolute(word) && /^main\.[jt]s$/.test(basename(word)))
  return main === undefined ? self[0] : join(main, '..', '..', 'bin', 'fairlead') // src/main.ts and dist/main.js both lie one folder below
}
