// The releases on this machine: a folder each, and the link `current` to the one that runs. Every change of it is one step that a stop cannot cut in two.
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { reasonOf } from '../../kernel/fault.ts'
import { makeFolder, moveFile, pointLink, removeFolder, setMode, syncFolder, writeWhole } from '../../kernel/file.ts'
import { fault } from './faults.ts'
import { type Release, openRelease } from './release.ts'
import type { PackedFile } from './tarball.ts'
import { readVersion } from './version-file.ts'
import { isVersion, newestFirst } from './version.ts'

type Trust = Parameters<typeof openRelease>[1]

export class Releases {
  readonly #root: string

  /** `root`: /opt/mcp-raspi. */
  constructor(root: string) {
    this.#root = root
  }

  folderOf(version: string): string {
    return join(this.#root, 'releases', version)
  }

  /** Newest first. */
  kept(): readonly string[] {
    try {
      return newestFirst(readdirSync(join(this.#root, 'releases')))
    } catch (error) {
      throw fault.not_installed({ path: this.#root, problem: reasonOf(error) }, error)
    }
  }

  /** What `current` leads to. Fault `update.not_installed`. */
  current(): string {
    let target: string
    try {
      target = readlinkSync(join(this.#root, 'current'))
    } catch (error) {
      throw fault.not_installed({ path: this.#root, problem: `current: ${reasonOf(error)}` }, error)
    }
    const version = basename(target)
    if (!isVersion(version)) throw fault.not_installed({ path: this.#root, problem: `current leads to ${target}` })
    return version
  }

  /** The program of the release that runs now: it must be able to end what it begins, whatever becomes of the link meanwhile. */
  program(): string {
    return join(this.folderOf(this.current()), 'bin/fairlead')
  }

  /** From now on `current` is that one: before it was the other, and nothing lies between. */
  point(version: string): void {
    pointLink(join(this.#root, 'current'), `releases/${version}`)
  }

  /** Whether the release is there as it was signed, each byte of it. */
  isWhole(version: string, trust: Trust): boolean {
    try {
      return openRelease(this.#filesOf(version), trust).version === version
    } catch {
      return false
    }
  }

  /** Puts a release in its place, whole or not at all; what is there under its name is replaced. */
  place({ version, files }: Release): void {
    const beside = join(this.#root, 'releases', `.${version}.new`)
    removeFolder(beside)
    for (const { path, bytes, isExecutable } of files) {
      const target = join(beside, path)
      makeFolder(dirname(target), 0o755)
      writeWhole(target, bytes)
      setMode(target, isExecutable ? 0o755 : 0o644)
    }
    makeFolder(join(beside, 'venv/bin'), 0o755)
    pointLink(join(beside, 'venv/bin/pip'), '../../deployment/machine/pip')
    for (const folder of ['.', ...folders(files), 'venv', 'venv/bin']) setMode(join(beside, folder), 0o755)
    removeFolder(this.folderOf(version))
    moveFile(beside, this.folderOf(version))
  }

  remove(version: string): void {
    removeFolder(this.folderOf(version))
    syncFolder(join(this.#root, 'releases'))
  }

  #filesOf(version: string): readonly PackedFile[] {
    const root = this.folderOf(version)
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.split('/')[0] !== 'venv')
    return names.flatMap((path) => {
      const stat = lstatSync(join(root, path))
      if (stat.isDirectory()) return []
      return [{ path, bytes: stat.isFile() ? readFileSync(join(root, path)) : Buffer.alloc(0), isExecutable: (stat.mode & 0o100) !== 0 }]
    })
  }
}

/** The release to go back to when nobody names one: the last good one, or else the newest that is older than the one that runs. */
export function lastGood(releases: Releases, root: string): string | undefined {
  const [kept, current] = [releases.kept(), releases.current()]
  const told = readVersion(root)?.previous_good_version
  return told && told !== current && kept.includes(told) ? told : kept[kept.indexOf(current) + 1]
}

function folders(files: readonly PackedFile[]): readonly string[] {
  const parents = (path: string): string[] => (dirname(path) === '.' ? [] : [...parents(dirname(path)), dirname(path)])
  return [...new Set(files.flatMap(({ path }) => parents(path)))]
}
