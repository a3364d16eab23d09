// Bundles the program and all it depends on, so that a start loads only what it runs, and that from few files: a lazy chunk per command, and one each for what
// starts, what dials and what encrypts, since an MCP client waits for those (bench/start.ts).
import { join } from 'node:path'
import { type CodeSplittingGroup, type InputOptions, type OutputOptions, type Plugin, defineConfig } from 'rolldown'
import { dashboard } from './rolldown.web.config.ts'

const source = join(import.meta.dirname, 'src')

/** What is loaded together, each with all that it imports; who is named first takes what both need. */
const together: Readonly<Record<string, readonly string[]>> = {
  start: ['main.ts'],
  dial: ['base/terminal/parse.ts', 'reach/commands/mcp-connect.ts', 'base/peer/host/shared-host.ts'],
  libp2p: ['base/peer/libp2p.ts'],
}

type Modules = { getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null }

/** The chunk of each file that has one of those: of the roots and all that they import, not counting what is loaded when it is needed. */
function assigned(modules: Modules): ReadonlyMap<string, string> {
  const chunkOf = new Map<string, string>()
  for (const [chunk, roots] of Object.entries(together)) {
    const ids = new Set(roots.map((root) => join(source, root)))
    for (const id of ids) {
      for (const imported of modules.getModuleInfo(id)?.importedIds ?? []) ids.add(imported)
      if (!chunkOf.has(id)) chunkOf.set(id, chunk)
    }
  }
  chunkOf.delete(join(source, 'main.ts')) // it is what people start, and keeps its name
  return chunkOf
}

let chunkOf: ReadonlyMap<string, string> | undefined
const groups: CodeSplittingGroup[] = [
  { debugName: 'start, dial, libp2p', name: (id, modules) => (chunkOf ??= assigned(modules)).get(id) ?? null },
]

/**
 * Takes the parts of Node as they are: an `import` of one makes a copy of all that it exports, and so calls every getter there, which loads a dozen further
 * parts that nobody asked for: a fifth of a start. `globalThis`, for what is taken may itself be called `process`. Not where it begins, for a Node that is too old to have them so must be able to say that it is.
 */
const plainBuiltins: Plugin = {
  name: 'plain-builtins',
  renderChunk(code, { name }) {
    if (name === 'main' || name === 'start') return undefined
    // `globalThis`: some file may call one of them `process`
    return code.replaceAll(builtinImport, (_, whole: string | undefined, names: string | undefined, id: string) => {
      const taken = [whole, names?.replaceAll(/\s+as\s+/g, ': ')].filter((part) => part !== undefined)
      return taken.map((part) => `const ${part} = globalThis.process.getBuiltinModule("${id}");`).join(' ')
    })
  },
}

/** As rolldown writes it: a name or `* as` one, names in braces, or both. */
const builtinImport = /^import (?:(?:\* as )?([\w$]+))?(?:, )?(\{[^{}]*\})? from "(node:[\w/]+)";$/gm

/** One process is all that libp2p's locks are used in: without the part that shares them between several, none of those is loaded. */
const locksOfOneProcess: Plugin = {
  name: 'locks-of-one-process',
  resolveId(id, importer) {
    return id === './node.js' && importer?.includes('/mortice/dist/') ? join(importer, '../react-native.js') : undefined
  },
}

/**
 * Nothing but ASCII in the files: with one character beyond Latin-1 in it, V8 keeps a whole file at two bytes a character, for as long as the process lives, and a file that
 * is all ASCII is not decoded first. An escape means the same in strings, templates, expressions and names; not where a template is taken raw.
 */
const plainAscii: Plugin = {
  name: 'plain-ascii',
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue
      if (notToEscape.test(chunk.code))
        this.error(`${chunk.fileName}: a raw template, or a backslash, stands before a character that is not ASCII`)
      chunk.code = chunk.code.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    }
  },
}
const notToEscape = /\braw`[^`]*[^\0-\x7f]|(?<!\\)(?:\\\\)*\\[^\0-\x7f]/

/** Of every bundle of the program. */
export const common = {
  platform: 'node',
  checks: { ineffectiveDynamicImport: false }, // several files of a chunk that is whole anyway: nothing a person who starts it should read
  plugins: [locksOfOneProcess, plainBuiltins, plainAscii],
} as const satisfies InputOptions

/** The same of what is written. */
export const commonOutput = {
  format: 'esm',
  entryFileNames: '[name].js',
  cleanDir: true,
  minify: { mangle: false, compress: true, codegen: true },
  comments: { legal: true },
} as const satisfies OutputOptions

const program = defineConfig({
  ...common,
  input: { main: 'src/main.ts', adapter: 'src/daemons/operator-adapter.ts', share: 'src/library.ts' },
  preserveEntrySignatures: 'allow-extension',
  output: {
    ...commonOutput,
    dir: 'dist',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: { groups, includeDependenciesRecursively: false },
  },
})

export default [program, dashboard]
