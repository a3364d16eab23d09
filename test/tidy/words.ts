// Rules on how a file is written: its first sentence, its size, its names, and what TypeScript it leaves out.
import { emptyNames, maxLines, notCapabilities, pluralFolder } from './tables.ts'
import { type Finding, type Rule, type Source, places } from './source.ts'

const generated = 'src/extensions.ts'

function each(
  files: readonly Source[],
  pattern: RegExp,
  problem: (match: string) => string,
  instead: string,
  isExempt: (file: Source) => boolean = () => false,
): Finding[] {
  return places(
    files.filter((file) => !isExempt(file)),
    pattern,
  ).map(({ file, line, match }) => ({ path: file.path, line, problem: problem(match), instead }))
}

function stemOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/(?:\.(?:test|fixture))?\.tsx?$/, '')
}

/** Rule 7: a file opens with a comment that is a sentence. */
export const opening: Rule = (files) =>
  files.flatMap(({ path, lines }) => {
    const end = lines.findIndex((line) => !line.startsWith('// '))
    const block = lines.slice(0, end < 0 ? lines.length : end).join(' ')
    return /[.!?][)`"]?$/.test(block)
      ? []
      : [{ path, line: 1, problem: 'it does not open with a sentence', instead: '// What this file is for, in one sentence.' }]
  })

/** Rule 7: a file stays near 300 lines; 400 is the end. */
export const size: Rule = (files) =>
  files.flatMap(({ path, lines, isTest }) =>
    !isTest && lines.length - 1 > maxLines
      ? [{ path, line: maxLines + 1, problem: `${lines.length - 1} lines`, instead: 'two files, each with one concept' }]
      : [],
  )

/** Rule 7: kebab-case nouns that say something. */
export const fileNames: Rule = (files) =>
  files.flatMap(({ path }) => {
    const stem = stemOf(path)
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(stem)) return [{ path, line: 1, problem: `the name ${stem}`, instead: 'kebab-case' }]
    const isCommand = /\/commands\/[^/]+$/.test(path) // called as people type it
    return !isCommand && emptyNames.test(stem)
      ? [{ path, line: 1, problem: `the name ${stem} says nothing`, instead: 'the concept that the file holds' }]
      : []
  })

/** No `I…` interfaces, no `…Impl`. */
export const typeNames: Rule = (files) => [
  ...each(files, /\b(?:interface|type|class)\s+I[A-Z][a-z]\w*/g, (match) => match, 'the name without the I'),
  ...each(files, /\b(?:class|interface|type|const|function)\s+\w+Impl\b/g, (match) => match, 'a name that says how it differs'),
]

/** Rule 6: no `any`. */
export const noAny: Rule = (files) =>
  each(files, /(?<![.\w$'"-])any\b(?!\s*(?:\?:|:|\())/g, () => 'any', 'unknown, and a check where it comes in')

/** Rule 6: no barrels: what is imported comes from the file that declares it. */
export const noBarrels: Rule = (files) => [
  ...each(files, /^export\s+\*/gm, () => 'export *', 'import from the file that declares it'),
  ...files
    .filter(({ isTest }) => !isTest)
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ isReexport, names }) => isReexport && !names.includes('*'))
        .map(({ line, from }) => ({
          path,
          line,
          problem: `exports what ${from} declares`,
          instead: 'import from the file that declares it',
        })),
    ),
]

/** Rule 6: no state in a module: nothing that is assigned later, no table that begins empty. */
export const noModuleState: Rule = (files) => {
  const isGenerated = ({ path }: Source): boolean => path === generated
  return [
    ...each(files, /^(?:export )?(?:let|var)\s+\w+/gm, (match) => match, 'a const, or a value that a factory keeps', isGenerated),
    ...each(
      files,
      /^(?:export )?const \w+[^=\n]*= (?:new (?:Map|Set|WeakMap|WeakSet)(?:<[^(\n]*>)?\(\)|\[\]|\{\})\s*$/gm,
      (match) => match,
      'a table that a factory makes and keeps',
      isGenerated,
    ),
  ]
}

/** A default export is the value of an extension, or of a config.ts, status.ts or reachable.ts. */
export const defaultExports: Rule = (files) =>
  each(
    files,
    /^export default\b/gm,
    (match) => match,
    'a named export',
    ({ path }) => {
      const folder = /^src\/([\w-]+)\/(?:config|status|reachable)\.ts$/.exec(path)?.[1]
      return pluralFolder.test(path) || path === 'src/base/cluster/config.ts' || (folder !== undefined && !notCapabilities.has(folder))
    },
  )

/** Rule 7: exported functions and interfaces of kernel, base and api.ts carry a doc comment; an interface may carry it on its members. */
export const documented: Rule = (files) =>
  files
    .filter(({ path, isTest }) => !isTest && /^src\/(?:kernel|base)\/|\/api\.ts$/.test(path))
    .flatMap(({ path, lines, code }) =>
      code.split('\n').flatMap((line, at) => {
        const [, kind, name] = /^export (?:async )?(function|interface)\*? (\w+)/.exec(line) ?? []
        if (kind === undefined || lines[at - 1]?.trimEnd().endsWith('*/') || isOverload(lines, at)) return []
        const body = lines.slice(at, lines.indexOf('}', at))
        if (kind === 'interface' && body.some((inner) => inner.trimStart().startsWith('/**'))) return []
        return [{ path, line: at + 1, problem: `${kind} ${name} has no doc comment`, instead: '/** purpose, units, limits, errors */' }]
      }),
    )

function isOverload(lines: readonly string[], at: number): boolean {
  return /^export (?:async )?function/.test(lines[at - 1] ?? '') && !lines[at - 1]!.endsWith('{')
}
