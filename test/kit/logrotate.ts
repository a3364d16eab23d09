// The shipped configuration of logrotate, for other files than those of an installed machine, and without its users.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export function logrotateConfig(files: string): string {
  const shipped = readFileSync(resolve(import.meta.dirname, '../../deployment/logrotate/mcp-raspi'), 'utf8')
  return (
    shipped
      .slice(0, shipped.indexOf('}') + 1)
      .replace(/^\/var\/log\/.*\{$/m, `${files} {`)
      .replace(/^ *(?:su|#) .*\n/gm, '') + '\n'
  )
}
