// Lets a person edit a definition: what is saved is good, and what is not good is not lost.
import { join } from 'node:path'
import type { Context } from '../../base/terminal/command.ts'
import { confirm, isPersonAt } from '../../base/terminal/confirm.ts'
import { execAtTerminal } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, readText, removeFile, writeWhole } from '../../kernel/file.ts'
import { readService } from '../service/read.ts'
import { definitionFile, saveDefinition } from './definitions.ts'
import { fault } from './faults.ts'
import type { CliFiles } from './files.ts'

/** `before`: what to begin with. Answers whether anything was saved. Faults: `mcp.no_editor`, `.not_saved`, those of `execAtTerminal`. */
export async function editDefinition(
  context: Context,
  files: CliFiles,
  service: string,
  before: string,
): Promise<{ readonly file: string; readonly isChanged: boolean }> {
  const file = definitionFile(files, service)
  const draft = join(files.services, `.${service}.draft.toml`)
  makeFolder(files.services)
  writeWhole(draft, readText(draft) ?? before) // what was not good the last time goes on
  for (;;) {
    await runEditor(context, draft)
    const text = readText(draft) ?? ''
    try {
      await readService(text, file, service)
    } catch (error) {
      const { kind, message } = asFault(error)
      if (kind === 'bug') throw error
      if (!isPersonAt(context.stdin)) throw fault.not_saved({ file, kept: draft, problem: message })
      context.terminal.log(message)
      if (await confirm(context, 'Edit it again?')) continue
      throw fault.not_saved({ file, kept: draft, problem: message })
    }
    const isChanged = text !== readText(file)
    if (isChanged) saveDefinition(files, service, text)
    removeFile(draft)
    return { file, isChanged }
  }
}

/** `EDITOR` may have arguments, parted by blanks: `code --wait`. */
async function runEditor({ env, terminal }: Context, file: string): Promise<void> {
  const [editor = 'vi', ...args] = (env['VISUAL'] || env['EDITOR'] || 'vi').split(/\s+/).filter((word) => word !== '')
  terminal.done()
  const exitCode = await execAtTerminal([editor, ...args, file], env)
  if (exitCode !== 0) throw fault.no_editor({ argv: [editor, ...args].join(' '), exitCode })
}

/** What a new definition begins as. */
export function newDefinition(service: string, node: string): string {
  return `# What ${service} is made of. Check it: mcp service check ${service}. Run it: mcp deploy ${service}
schema = 1
name = "${service}"
node = "${node}"
active = true

[[components]]
name = "${service}"
image = ""           # registry/name:v1.2, with a tag that means one thing
# ports = ["127.0.0.1:8080:8080"]
# volumes = ["/srv/${service}:/data"]

# [components.health]
# http = "http://127.0.0.1:8080/health"
`
}
