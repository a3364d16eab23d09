// The program as tests start it, and as its users do: built, which takes a third of the CPU that a start from source takes.
import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'

const root = resolve(import.meta.dirname, '../..')

export const main = join(root, 'dist/main.js')

/** Builds it before the first test when it is older than its source (vitest's global set-up). */
export default function build(): void {
  const built = statSync(main, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(?:tsx?|css|html|svg)$/.test(file),
  )
  const isOld = source.some((file) => !file.endsWith('.test.ts') && statSync(join(root, 'src', file)).mtimeMs > built)
  if (isOld)
    execFileSync(process.execPath, [join(root, 'node_modules/rolldown/bin/cli.mjs'), '-c'], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
}
