// Whether the build that is measured is the one of this source.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The program as its users start it. */
export const launcher = join(root, 'bin/fairlead')

/** What to know of the build beside the figures: that it is missing or old; empty when it is neither. */
export function buildNote(): string {
  const built = statSync(join(root, 'dist/main.js'), { throwIfNoEntry: false })
  if (!built) return 'note: there is no dist/, so the source is measured: run `npm run build`\n'
  const changed = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .filter((file) => statSync(join(root, 'src', file)).mtimeMs > built.mtimeMs)
  return changed.length === 0 ? '' : `note: dist/ is older than ${changed.length} source file(s): run \`npm run build\`\n`
}
