// Where this installation's launcher is, and launchers of other names: what other programs start us by, with or without a PATH.
import { basename, isAbsolute, join, resolve } from 'node:path'
import { faults } from '../../kernel/fault.ts'
import { makeFolder, readText, writeWhole } from '../../kernel/file.ts'
import type { Context } from './command.ts'

const fault = faults('launcher', {
  foreign_file: (d: { path: string }) => ({
    kind: 'conflict',
    message: `${d.path} is there already and was not written by fairlead`,
    hint: 'move it away, or link into another folder',
  }),
  unexpanded_folder: (d: { folder: string }) => ({
    kind: 'usage',
    message: `the folder is named ${d.folder}: no shell has expanded it`,
    hint: 'put the whole path, from / on',
  }),
})

/** The absolute path of `bin/fairlead`, which finds a Node by itself; of the program, where all of it is one executable. */
export function launcherOf(self: Context['self']): string {
  const main = self.find((word, at) => at > 0 && isAbsolute(word) && /^main\.[jt]s$/.test(basename(word)))
  return main === undefined ? self[0] : join(main, '..', '..', 'bin', 'fairlead') // src/main.ts and dist/main.js both lie one folder below
}

/** The folder for launchers, made if it is not there, by its whole path. Faults: `launcher.unexpanded_folder`, those of `makeFolder`. */
export function launcherFolder(given: string): string {
  if (given.startsWith('~')) throw fault.unexpanded_folder({ folder: given })
  const folder = resolve(given)
  makeFolder(folder, 0o755)
  return folder
}

/** Writes a launcher unless it stands there already. `mark` is a line of it that tells whose it is: a file without that is never replaced (`launcher.foreign_file`). */
export function placeLauncher(path: string, mark: string, text: string): void {
  const present = readText(path)
  if (present !== undefined && !present.includes(mark)) throw fault.foreign_file({ path })
  if (present !== text) writeWhole(path, text, 0o755)
}

/** As a shell has to have it, to be that one word. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
