// Where the MCP servers and clients of others are, after test/run has installed them as package-lock.json says.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const strangersFolder = import.meta.dirname

/** Why there are none; undefined when they are there. */
export function strangersMissing(): string | undefined {
  return existsSync(join(strangersFolder, 'node_modules/.package-lock.json'))
    ? undefined
    : 'test/strangers is not installed: npm test does it'
}

/** The program of a package, to be run by Node. */
export function stranger(name: string): string {
  const folder = join(strangersFolder, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { bin: Record<string, string> }
  return join(folder, Object.values(bin)[0]!)
}

/** Which version of a package is pinned. */
export function versionOf(name: string): string {
  const { dependencies } = JSON.parse(readFileSync(join(strangersFolder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  return dependencies[name]!
}
