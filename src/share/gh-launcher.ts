// The file `gh` that stands before the real one on a PATH: what is typed goes through the cache, and past it where that cannot run.
import { join } from 'node:path'
import { placeLauncher, shellWord } from '../base/terminal/launcher.ts'

/** Set for the gh that runs, and what it starts: a launcher that is found then is on its way already. */
export const underway = 'FAIRLEAD_SHARE_GH'

const mark = '# Written by `fairlead share gh --link`: may be replaced or removed by it.'

/** `flags` are those of `fairlead share gh`. It needs `sh`, `head` and `grep` of its environment. */
function textOf(program: string, flags: readonly string[]): string {
  const run = ['share gh', ...flags.map(shellWord)].join(' ')
  return `#!/bin/sh
${mark}
# Starts the gh that comes after it on the PATH: with the API cache, and without it where that is not there.
fairlead=${shellWord(program)}
gh=
set -f
IFS=:
for folder in $PATH; do
  next=\${folder:-.}/gh
  [ -f "$next" ] && [ -x "$next" ] || continue
  head -n 2 "$next" | grep -qF ${shellWord(mark)} && continue
  gh=$next
  break
done
set +f
unset IFS
if [ -z "$gh" ]; then
  echo "fairlead: error: there is no gh on the PATH but $0" >&2
  echo 'fairlead: hint: install the GitHub CLI' >&2
  exit 127
fi
if [ -z "\${${underway}:-}" ]; then
  [ ! -x "$fairlead" ] || exec "$fairlead" ${run} -- "$@"
  echo "fairlead: $fairlead is not there: gh asks the API itself" >&2
fi
exec "$gh" "$@"
`
}

/** Writes it, and answers where; faults of `placeLauncher`. */
export function linkGh(folder: string, program: string, flags: readonly string[]): string {
  const path = join(folder, 'gh')
  placeLauncher(path, mark, textOf(program, flags))
  return path
}
