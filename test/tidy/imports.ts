// Rules on who may import whom: layers, capabilities, composers, extension points, doors and packages.
import { baseOrder, closures, composer, doors, loadedLater, notCapabilities, ownCommand, packages, pluralFolder } from './tables.ts'
import { type Finding, type Import, type Rule, type Source, places } from './source.ts'

type Edge = { readonly file: Source; readonly entry: Import; readonly target: string }

/** Imports of our own files, tests aside. */
function edges(files: readonly Source[]): Edge[] {
  return files
    .filter(({ isTest }) => !isTest)
    .flatMap((file) => file.imports.flatMap((entry) => (entry.file === undefined ? [] : [{ file, entry, target: entry.file }])))
}

function finding({ file, entry }: Pick<Edge, 'file' | 'entry'>, problem: string, instead: string): Finding {
  return { path: file.path, line: entry.line, problem, instead }
}

function folderOf(path: string): string {
  return /^src\/([\w-]+)\//.exec(path)?.[1] ?? ''
}

function baseFolderOf(path: string): string | undefined {
  return /^src\/base\/([\w-]+)\//.exec(path)?.[1]
}

function isCapability(folder: string): boolean {
  return folder !== '' && !notCapabilities.has(folder)
}

function isOwnList(file: Source, entry: Import, target: string): boolean {
  return target === 'src/extensions.ts' && entry.isDynamic && ownCommand.test(file.path)
}

/** Rule 1: the kernel imports nothing of ours; a folder of base imports the kernel and the folders before it. */
export const layers: Rule = (files) =>
  edges(files).flatMap(({ file, entry, target }) => {
    const at = { file, entry }
    if (folderOf(file.path) === 'kernel')
      return folderOf(target) === 'kernel' ? [] : [finding(at, `the kernel imports ${target}`, 'hand it in as an argument')]
    const own = baseFolderOf(file.path)
    if (own === undefined) return []
    const rank = (baseOrder as readonly string[]).indexOf(own)
    if (rank < 0) return [finding(at, `base/${own} has no place in the order of layers`, 'add it to baseOrder in test/tidy/tables.ts')]
    if (folderOf(target) === 'kernel' || own === baseFolderOf(target)) return []
    const theirs = baseFolderOf(target)
    if (theirs === undefined) return [finding(at, `base imports ${target}`, 'declare a port and let a composer fill it')]
    return (baseOrder as readonly string[]).indexOf(theirs) < rank
      ? []
      : [finding(at, `base/${own} imports base/${theirs}, which comes after it`, 'move the shared part down, or hand it in')]
  })

/** Rule 1: no cycles of imports; types and lazy imports do not count. */
export const cycles: Rule = (files) => {
  const from = new Map<string, Edge[]>()
  for (const edge of edges(files))
    if (!edge.entry.isType && !edge.entry.isDynamic) from.set(edge.file.path, [...(from.get(edge.file.path) ?? []), edge])
  const done = new Set<string>()
  const found: Finding[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    if (done.has(path)) return
    for (const edge of from.get(path) ?? []) {
      const start = [...trail, path].indexOf(edge.target)
      if (start >= 0)
        found.push(
          finding(
            edge,
            `a cycle: ${[...trail, path].slice(start).join(' → ')} → ${edge.target}`,
            'move what both need into a file of its own',
          ),
        )
      else walk(edge.target, [...trail, path])
    }
    done.add(path)
  }
  for (const { path } of files) walk(path, [])
  return found
}

/** Rule 2: a capability imports the kernel, base and itself; commands import clients and load the rest. A daemon is loaded whole, so it imports what it composes. */
export const capabilities: Rule = (files) =>
  edges(files).flatMap(({ file, entry, target }) => {
    const at = { file, entry }
    const own = folderOf(file.path)
    const theirs = folderOf(target)
    if (isCapability(own)) {
      if (theirs === own || theirs === 'kernel' || theirs === 'base' || isOwnList(file, entry, target)) return []
      if (target === 'package.json') return [finding(at, `${own} imports package.json`, 'the version of the Context')]
      return [
        finding(
          at,
          `${own} imports ${target}`,
          isCapability(theirs) ? `a port that ${own} declares and src/daemons or src/commands fills` : 'only kernel, base and itself',
        ),
      ]
    }
    if (!file.path.startsWith('src/commands/') || !isCapability(theirs)) return []
    const isOpen = entry.isType || entry.isDynamic || target.endsWith('/client.ts')
    return isOpen
      ? []
      : [finding(at, `a command imports ${target} at its start`, `the client.ts of ${theirs}, or import() where it is needed`)]
  })

/** Rule 3: the dashboard knows of the rest only the types of clients. */
export const dashboard: Rule = (files) =>
  edges(files)
    .filter(({ file, target }) => folderOf(file.path) === 'web' && folderOf(target) !== 'web')
    .filter(({ entry, target }) => !(entry.isType && target.endsWith('/client.ts')))
    .map(({ file, entry, target }) => finding({ file, entry }, `the dashboard imports ${target}`, 'import type … from a client.ts'))

/** Made by scripts/generate.ts. */
const isList = /^src\/(?:extensions|web\/pages)\.ts$/

/** Rule 4: files in plural folders are imported by extensions.ts, composers and tests only, never by a sibling. */
export const extensionPoints: Rule = (files) =>
  edges(files).flatMap(({ file, entry, target }) => {
    if (!pluralFolder.test(target) || isList.test(file.path)) return []
    const isSibling = file.path.slice(0, file.path.lastIndexOf('/')) === target.slice(0, target.lastIndexOf('/'))
    if (composer.test(file.path) && !isSibling) return []
    return [
      finding(
        { file, entry },
        `${target} is an extension`,
        isSibling ? 'a file outside the plural folder for what both need' : 'the list in src/extensions.ts, handed in by a composer',
      ),
    ]
  })

/** Only the program and its composers know the list of all extensions. */
export const extensionList: Rule = (files) =>
  edges(files)
    .filter(
      ({ file, entry, target }) =>
        /^src\/(?:extensions|aliases|main)\.ts$/.test(target) &&
        file.path !== 'src/main.ts' &&
        !composer.test(file.path) &&
        !isOwnList(file, entry, target),
    )
    .map(({ file, entry, target }) =>
      finding({ file, entry }, `${target} is imported here`, 'take what is needed as an argument, from a composer'),
    )

/** Rule 5: one door for each hazard. */
export const hazards: Rule = (files) =>
  doors.flatMap(({ what, modules, names, code, allowed, instead }) => {
    const outside = files.filter(({ path, isTest }) => !isTest && !allowed.test(path))
    const imported = outside.flatMap((file) =>
      file.imports
        .filter(({ from, isType, names: taken }) => modules?.test(from) && !isType && (!names || taken.some((name) => names.test(name))))
        .map((entry) =>
          finding(
            { file, entry },
            `${what}: ${entry.from}${names ? ` (${entry.names.filter((name) => names.test(name)).join(', ')})` : ''}`,
            instead,
          ),
        ),
    )
    const used = code
      ? places(outside, code).map(({ file, line, match }) => ({ path: file.path, line, problem: `${what}: ${match}`, instead }))
      : []
    return [...imported, ...used]
  })

/** Rule 6: each npm package is listed with the files that may import it. */
export const dependencies: Rule = (files) =>
  files
    .filter(({ isTest }) => !isTest)
    .flatMap((file) =>
      file.imports.flatMap((entry) => {
        if (entry.file !== undefined || entry.from.startsWith('node:')) return []
        const known = packages.find(({ names }) => names.test(entry.from))
        if (!known)
          return [
            finding(
              { file, entry },
              `the package ${entry.from} is not in the table`,
              'a page in docs/decisions/ and a line in test/tidy/tables.ts',
            ),
          ]
        return known.allowed.test(file.path) || (known.isTypeFree && entry.isType)
          ? []
          : [finding({ file, entry }, `${entry.from} is imported here`, known.why)]
      }),
    )

/** Rule 6: the whole import closure of a program holds only the packages that are written down for it. */
export const closed: Rule = (files) => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return Object.entries(closures).flatMap(([start, allowed]) => {
    const seen = new Set<string>()
    const found: Finding[] = []
    const walk = (path: string): void => {
      const file = byPath.get(path)
      if (!file || seen.has(path)) return
      seen.add(path)
      for (const entry of file.imports.filter(({ isType }) => !isType)) {
        if (entry.file !== undefined) walk(entry.file)
        else if (!entry.from.startsWith('node:') && !allowed.test(entry.from))
          found.push(finding({ file, entry }, `${start} reaches the package ${entry.from}`, 'cut the way there, or load it elsewhere'))
      }
    }
    for (const { path, isTest } of files) if (!isTest && (path === start || (start.endsWith('/') && path.startsWith(start)))) walk(path)
    return found
  })
}

/** What shall be loaded only when it is asked for is not reached by imports that are not lazy. */
export const lazily: Rule = (files) => {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return Object.entries(loadedLater).flatMap(([start, later]) => {
    const seen = new Set<string>([start])
    const found: Finding[] = []
    for (const path of seen) {
      const file = byPath.get(path)
      for (const entry of file?.imports.filter(({ isType, isDynamic }) => !isType && !isDynamic) ?? []) {
        if (entry.file === undefined) continue
        if (later.test(entry.file))
          found.push(finding({ file: file!, entry }, `${start} reaches ${entry.file} at its start`, 'import() where it is needed'))
        else seen.add(entry.file)
      }
    }
    return found
  })
}
