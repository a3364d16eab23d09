// Definitions as they are committed in a git checkout: read at one commit, never checked out; and what they would change, as git shows it.
import { join, resolve } from 'node:path'
import type { Context } from '../../base/terminal/command.ts'
import { type ExecResult, exec } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, removeFolder, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { readService } from '../service/read.ts'
import type { Definition } from './definitions.ts'
import { fault } from './faults.ts'

export type GitDefinitions = { readonly commit: string; readonly subject: string; readonly definitions: readonly Definition[] }

const timeoutMs = 30_000
const maxDiffBytes = 16 << 20
const maxDefinitions = 10_000
/** Of what was not committed, so much is named. */
const maxNamed = 10

type Git = (args: readonly string[]) => Promise<ExecResult>

/** Nothing of the checkout's own configuration runs: no hook, no monitor, no filter for diffs. */
function gitIn(env: Context['env'], folder: string): Git {
  const given = { PATH: env['PATH'] ?? '/usr/bin:/bin', HOME: env['HOME'] ?? '/', LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0' }
  return (args) =>
    exec(['git', '-C', folder, '-c', 'core.fsmonitor=false', '-c', 'core.quotePath=false', ...args], {
      env: given,
      timeoutMs,
      maxBytes: maxDiffBytes,
    })
}

/**
 * All definitions at `ref` in `folder`, which is (part of) a checkout: those right in it, or in its `services/`. Faults: `mcp.no_checkout`, `.no_commit`, `.not_committed` unless
 * `force`, `.no_definition`, `.bad_definitions`, `exec.*`.
 */
export async function gitDefinitions(
  { env }: Pick<Context, 'env'>,
  { folder, ref, force }: { readonly folder: string; readonly ref: string; readonly force: boolean },
): Promise<GitDefinitions> {
  const git = gitIn(env, resolve(folder))
  const prefix = await git(['rev-parse', '--show-prefix'])
  if (prefix.exitCode !== 0) throw fault.no_checkout({ folder, reason: lastLine(prefix.stderr) })
  const found = await git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`])
  if (found.exitCode !== 0) throw fault.no_commit({ folder, ref })
  const commit = found.stdout.trim()
  const status = await git(['status', '--porcelain', '--', '.'])
  const left = status.stdout.split('\n').filter((line) => line !== '')
  if (left.length > 0 && !force)
    throw fault.not_committed({ folder, files: left.slice(0, maxNamed).map((line) => line.slice(3)), count: left.length })
  const at = prefix.stdout.trim().replace(/\/$/, '')
  const below = join(at, 'services')
  const path = (await git(['cat-file', '-t', `${commit}:${below}`])).stdout.trim() === 'tree' ? below : at
  const definitions = await definitionsAt(git, commit, path)
  if (definitions.length === 0) throw fault.no_definition({ file: `${join(path, 'NAME.toml')} at ${ref}` })
  const subject = (await git(['show', '--no-patch', '--format=%s', commit])).stdout.trim()
  return { commit, subject, definitions }
}

async function definitionsAt(git: Git, commit: string, path: string): Promise<readonly Definition[]> {
  const { stdout } = await git(['ls-tree', '-z', '--full-tree', `${commit}:${path}`])
  const files = stdout.split('\0').flatMap((line) => {
    const [, type, name] = /^\d+ (\w+) [0-9a-f]+\t([^.].*)\.toml$/s.exec(line) ?? []
    return type === 'blob' && name !== undefined ? [name] : []
  })
  const good: Definition[] = []
  const problems: string[] = []
  for (const name of files.slice(0, maxDefinitions)) {
    const file = `${commit.slice(0, 12)}:${join(path, name)}.toml`
    const { stdout: text } = await git(['show', `${commit}:${join(path, name)}.toml`])
    try {
      good.push({ file, text, service: await readService(text, file, name) })
    } catch (error) {
      const { kind, message } = asFault(error)
      if (kind === 'bug') throw error
      problems.push(message)
    }
  }
  if (problems.length > 0) throw fault.bad_definitions({ problems })
  return good
}

/** From what the nodes know to what is to be, file by file; '' when nothing differs. `known`: texts by service. */
export async function definitionsDiff(
  { env, folders }: Pick<Context, 'env' | 'folders'>,
  known: ReadonlyMap<string, string>,
  definitions: readonly Definition[],
): Promise<string> {
  const folder = join(folders.state, 'run', `sync-${randomId(6)}`)
  try {
    const [before, after] = ['known', 'committed'].map((name) => join(folder, name)) as [string, string]
    for (const one of [before, after]) makeFolder(one)
    for (const { service, text } of definitions) {
      const old = known.get(service.name)
      if (old !== undefined) writeWhole(join(before, `${service.name}.toml`), old)
      writeWhole(join(after, `${service.name}.toml`), text)
    }
    const { stdout, stderr, exitCode } = await gitIn(env, folder)([
      'diff', '--no-index', '--no-ext-diff', '--no-textconv', '--no-color', '--no-prefix', '--', 'known', 'committed',
    ]) // prettier-ignore
    if (exitCode !== 0 && exitCode !== 1) throw fault.no_checkout({ folder, reason: lastLine(stderr) })
    return stdout
  } finally {
    removeFolder(folder)
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
