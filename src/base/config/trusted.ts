// Whether a configuration can be believed by a daemon with more rights than its clients: nobody but root, and the daemon's own user, may be able to change it.
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { reasonOf } from '../../kernel/fault.ts'
import { statOf } from '../../kernel/file.ts'

/** What is wrong with who may change or read a file, and what mends it. */
export type Distrust = { readonly problem: string; readonly hint: string }

/** Sticky: others may write in the folder, but not replace what is not theirs. */
const sticky = 0o1000

const octal = (mode: number): string => (mode & 0o777).toString(8)

/**
 * Why the file must not be believed; undefined when it may be. It and all folders above it belong to root or to the user of this process, nobody else can
 * write them, and the file has no rights beyond `maxMode`. A link is followed first. A file that is not there is none to distrust.
 */
export function distrustOf(path: string, maxMode: number): Distrust | undefined {
  let real: string
  try {
    real = realpathSync(path)
  } catch (error) {
    return reasonOf(error) === 'ENOENT'
      ? undefined
      : { problem: `it cannot be read (${reasonOf(error)})`, hint: `look at it: ls -l ${path}` }
  }
  const stat = statOf(real)
  if (!stat) return undefined
  const isOurs = (uid: number): boolean => uid === 0 || uid === process.geteuid?.()
  if (!stat.isFile()) return { problem: 'it is no plain file', hint: `look at it: ls -l ${path}` }
  if (!isOurs(stat.uid)) return { problem: `it belongs to the user ${stat.uid}, who could change it`, hint: `sudo chown root ${real}` }
  if ((stat.mode & 0o777 & ~maxMode) !== 0)
    return {
      problem: `its mode is ${octal(stat.mode)}, which is more than ${octal(maxMode)}`,
      hint: `sudo chmod ${octal(maxMode)} ${real}`,
    }
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    const { uid, mode } = statOf(folder)!
    if (!isOurs(uid)) return { problem: `its folder ${folder} belongs to the user ${uid}`, hint: `sudo chown root ${folder}` }
    if ((mode & 0o022) !== 0 && (mode & sticky) === 0)
      return { problem: `others may write its folder ${folder} (mode ${octal(mode)})`, hint: `sudo chmod go-w ${folder}` }
    if (folder === dirname(folder)) return undefined
  }
}
