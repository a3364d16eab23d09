// Proves each tidy rule on a tiny tree that breaks exactly it, and on one that does not.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as imports from './imports.ts'
import { type Rule, blanked, sourceOf } from './source.ts'
import * as words from './words.ts'

type Tree = Readonly<Record<string, string>>

/** `path:line` of what a rule finds in files that open properly; the text begins at line 2. */
function findings(rule: Rule, tree: Tree): string[] {
  const files = Object.entries(tree).map(([path, text]) => sourceOf(path, `// A file for a test.\n${text}`))
  return rule(files).map(({ path, line }) => `${path}:${line}`)
}

function breaks(rule: Rule, path: string, ...texts: string[]): void {
  for (const text of texts) expect(findings(rule, { [path]: text }), text).toEqual([`${path}:2`])
}

function keeps(rule: Rule, path: string, ...texts: string[]): void {
  for (const text of texts) expect(findings(rule, { [path]: text }), text).toEqual([])
}

describe('reading', () => {
  test('comments, texts and regular expressions are no code; what is inside ${} is', () => {
    const text = "a // b 'c\n/* d\ne */ f('g\\'h', `i${j(`k${l}`)}m`, /n[/]'o/g) / p"
    expect(blanked(text, true).replaceAll(/\s+/g, ' ')).toBe("a f(' ', ` ${j(` ${l}`)} `, / /g) / p".replaceAll(/\s+/g, ' '))
    expect(blanked(text, true)).toHaveLength(text.length)
    expect(blanked(text, false)).toContain("f('g\\'h'")
  })

  test('imports of every form, with their lines, and none inside texts', () => {
    const { imports: found } = sourceOf(
      'src/a/b.ts',
      "import { type A, b as c } from './x.ts'\nimport type { D } from 'zod'\nimport * as e from 'node:fs'\nimport f, {\n  g,\n} from '../h.ts'\nimport 'side'\nconst i = await import('./j.ts')\ntype K = typeof import('./k.ts')\nexport { l } from './l.ts'\nconst text = `\nimport { no } from 'nothing'\n`\n// import { no } from 'nothing'\n",
    )
    expect(
      found.map(({ line, from, file, isType, isDynamic, isReexport, names }) => [
        line,
        file ?? from,
        [isType && 'type', isDynamic && 'dynamic', isReexport && 'reexport'].filter(Boolean).join(),
        names.join(),
      ]),
    ).toEqual([
      [1, 'src/a/x.ts', '', 'b'],
      [2, 'zod', 'type', ''],
      [3, 'node:fs', '', '*'],
      [4, 'src/h.ts', '', 'g,default'],
      [7, 'side', '', ''],
      [8, 'src/a/j.ts', 'dynamic', '*'],
      [9, 'src/a/k.ts', 'type,dynamic', '*'],
      [10, 'src/a/l.ts', 'reexport', 'l'],
    ])
  })
})

describe('who imports whom', () => {
  test('layers', () => {
    breaks(imports.layers, 'src/kernel/a.ts', "import { b } from '../base/wire/wire.ts'")
    breaks(
      imports.layers,
      'src/base/config/a.ts',
      "import { b } from '../wire/wire.ts'",
      "import { b } from '../../reach/b.ts'",
      "import type { B } from '../mcp/b.ts'",
    )
    breaks(imports.layers, 'src/base/new/a.ts', "import { b } from '../wire/wire.ts'")
    keeps(
      imports.layers,
      'src/base/supervise/a.ts',
      "import { b } from '../wire/wire.ts'",
      "import { b } from './b.ts'",
      "import { b } from '../../kernel/clock.ts'",
      "import { z } from 'zod'",
    )
    keeps(imports.layers, 'src/base/config/a.test.ts', "import { b } from '../wire/wire.ts'")
  })

  test('cycles', () => {
    const tree = { 'src/a.ts': "import { b } from './b.ts'", 'src/b.ts': "import { c } from './c.ts'" }
    expect(findings(imports.cycles, { ...tree, 'src/c.ts': "import { a } from './a.ts'" })).toEqual(['src/c.ts:2'])
    expect(findings(imports.cycles, { ...tree, 'src/c.ts': "import type { A } from './a.ts'\nconst x = import('./a.ts')" })).toEqual([])
  })

  test('capabilities', () => {
    breaks(
      imports.capabilities,
      'src/reach/a.ts',
      "import { b } from '../gate/client.ts'",
      "import type { B } from '../gate/b.ts'",
      "const b = import('../gate/b.ts')",
      "import { b } from '../daemons/b.ts'",
      "import { b } from '../extensions.ts'",
      "import x from '../../package.json'",
    )
    breaks(imports.capabilities, 'src/commands/up.ts', "import { b } from '../gate/gate.ts'")
    keeps(
      imports.capabilities,
      'src/reach/a.ts',
      "import { b } from './b.ts'",
      "import { b } from '../kernel/clock.ts'",
      "import { b } from '../base/wire/wire.ts'",
    )
    keeps(
      imports.capabilities,
      'src/commands/up.ts',
      "import { b } from '../gate/client.ts'",
      "import type { B } from '../gate/gate.ts'",
      "const b = import('../gate/gate.ts')",
    )
    keeps(imports.capabilities, 'src/daemons/gate.ts', "import { b } from '../gate/gate.ts'")
    keeps(imports.capabilities, 'src/operate/commands/server.ts', "const b = import('../../extensions.ts')")
  })

  test('lazily', () => {
    const tree = (load: string): Tree => ({ 'src/gate/gate.ts': "import { a } from './a.ts'", 'src/gate/a.ts': load })
    expect(findings(imports.lazily, tree("import { b } from './dashboard/serving.ts'"))).toEqual(['src/gate/a.ts:2'])
    expect(findings(imports.lazily, tree("const b = import('./dashboard/serving.ts')"))).toEqual([])
  })

  test('dashboard', () => {
    breaks(
      imports.dashboard,
      'src/web/a.ts',
      "import { b } from '../gate/client.ts'",
      "import type { B } from '../gate/gate.ts'",
      "import { b } from '../kernel/fault.ts'",
    )
    keeps(imports.dashboard, 'src/web/a.ts', "import type { B } from '../gate/client.ts'", "import { b } from './b.ts'")
  })

  test('extensionPoints', () => {
    breaks(imports.extensionPoints, 'src/operate/a.ts', "import b from './tools/b.ts'")
    breaks(imports.extensionPoints, 'src/operate/tools/a.ts', "import b from './b.ts'")
    breaks(imports.extensionPoints, 'src/commands/up.ts', "import b from './status.ts'")
    breaks(imports.extensionPoints, 'src/web/shell.tsx', "import b from './pages/b.tsx'")
    keeps(imports.extensionPoints, 'src/web/pages.ts', "import b from './pages/b.tsx'")
    breaks(imports.extensionPoints, 'src/base/mcp/a.ts', "import b from './eras/modern.ts'")
    keeps(imports.extensionPoints, 'src/extensions.ts', "const b = import('./operate/tools/b.ts')")
    keeps(imports.extensionPoints, 'src/commands/up.ts', "const b = import('../daemons/gate.ts')")
    keeps(imports.extensionPoints, 'src/base/mcp/a.ts', "import b from '../checks/b.ts'")
    keeps(imports.extensionPoints, 'src/operate/a.test.ts', "import b from './tools/b.ts'")
  })

  test('extensionList', () => {
    breaks(imports.extensionList, 'src/base/mcp/a.ts', "import { tools } from '../../extensions.ts'")
    breaks(imports.extensionList, 'src/operate/commands/a.ts', "import { tools } from '../../extensions.ts'")
    keeps(imports.extensionList, 'src/main.ts', "import { commands } from './extensions.ts'")
    keeps(imports.extensionList, 'src/operate/commands/a.ts', "const { tools } = await import('../../extensions.ts')")
  })

  test('hazards', () => {
    breaks(
      imports.hazards,
      'src/reach/a.ts',
      "import { spawn } from 'node:child_process'",
      "import { DatabaseSync } from 'node:sqlite'",
      "import { connect } from 'node:net'",
      "import { request } from 'https'",
      "import { writeFileSync } from 'node:fs'",
      "import fs from 'node:fs'",
      "import { rm } from 'node:fs/promises'",
      "import { setTimeout } from 'node:timers/promises'",
      "import { randomBytes } from 'node:crypto'",
      "import { env } from 'node:process'",
      'const a = Date.now()',
      'const a = new Date()',
      'setTimeout(a, 1)',
      'const a = AbortSignal.timeout(5)',
      'const a = performance.now()',
      'const a = Math.random()',
      'const a = crypto.randomUUID()',
      "const a = process.env['A']",
      'process.exit(1)',
      "process.on('SIGTERM', a)",
      "process.stdout.write('x')",
      'console.log(1)',
      'process.kill(1)',
      'const a = `${process.argv}`',
    )
    keeps(
      imports.hazards,
      'src/reach/a.ts',
      "import type { Socket } from 'node:net'",
      "import { isIP } from 'node:net'",
      "import { type Server } from 'node:http'",
      "import { readFileSync, statSync } from 'node:fs'",
      "import { createHash } from 'node:crypto'",
      "const a = 'process.env and Date.now()'",
      '// Math.random() would do',
      'const a = new Date(0)',
      'const a = clock.setTimeout(1)',
      'const a = process.platform',
      'const a = self.process.env',
    )
    keeps(imports.hazards, 'src/base/supervise/child.ts', "import { spawn } from 'node:child_process'")
    breaks(imports.hazards, 'src/base/supervise/child.ts', "import { writeFileSync } from 'node:fs'")
    keeps(imports.hazards, 'src/main.ts', 'process.exit(1)')
    keeps(imports.hazards, 'src/kernel/clock.ts', 'const a = Date.now()')
    keeps(imports.hazards, 'src/reach/a.test.ts', 'const a = Date.now()')
  })

  test('dependencies', () => {
    breaks(
      imports.dependencies,
      'src/reach/a.ts',
      "import { createLibp2p } from 'libp2p'",
      "import type { Peer } from '@libp2p/interface'",
      "import { z } from 'zod'",
      "const a = import('commander')",
      "import { parse } from 'smol-toml'",
      "import leftPad from 'left-pad'",
      "import { Client } from '@modelcontextprotocol/client'",
    )
    keeps(imports.dependencies, 'src/base/peer/a.ts', "import { createLibp2p } from 'libp2p'")
    for (const path of ['src/gate/config.ts', 'src/gate/rule/config.ts', 'src/gate/connector/api.ts'])
      keeps(imports.dependencies, path, "import { z } from 'zod'")
    keeps(imports.dependencies, 'src/reach/a.ts', "import type { z } from 'zod'", "import { join } from 'node:path'")
  })

  test('closed', () => {
    const helper = {
      'src/operate/tools/helper.ts': "import { a } from '../a.ts'",
      'src/operate/a.ts': "const b = import('../base/peer/b.ts')",
    }
    expect(findings(imports.closed, { ...helper, 'src/base/peer/b.ts': "import { createLibp2p } from 'libp2p'" })).toEqual([
      'src/base/peer/b.ts:2',
    ])
    expect(
      findings(imports.closed, { ...helper, 'src/base/peer/b.ts': "import { z } from 'zod'\nimport { join } from 'node:path'" }),
    ).toEqual([])
  })
})

describe('how a file is written', () => {
  test('opening', () => {
    const opened = (text: string): number => words.opening([sourceOf('src/a.ts', text)]).length
    expect(['', 'const a = 1', '// no sentence\nconst a = 1', '//\n// Late.\n'].map(opened)).toEqual([1, 1, 1, 1])
    expect(['// What it is for.\nconst a = 1', '// What it\n// is for.\n//\n// And more\n'].map(opened)).toEqual([0, 0])
  })

  test('size', () => {
    expect(findings(words.size, { 'src/a.ts': 'a\n'.repeat(400) })).toEqual(['src/a.ts:401'])
    keeps(words.size, 'src/a.ts', 'a\n'.repeat(399))
    keeps(words.size, 'src/a.test.ts', 'a\n'.repeat(999))
  })

  test('fileNames', () => {
    const named = (path: string): number => words.fileNames([sourceOf(path, '')]).length
    expect(
      [
        'src/a/utils.ts',
        'src/types.ts',
        'src/service.ts',
        'src/peer-manager.ts',
        'src/camelCase.ts',
        'src/snake_case.ts',
        'src/index.ts',
        'src/Peer.ts',
      ].map(named),
    ).toEqual(Array(8).fill(1))
    expect(['src/daemons/helper.ts', 'src/service-file.ts', 'src/main.test.ts', 'src/a/child.fixture.ts', 'src/x2.tsx'].map(named)).toEqual(
      Array(5).fill(0),
    )
  })

  test('typeNames', () => {
    breaks(words.typeNames, 'src/a.ts', 'interface IPeer {}', 'type ICard = 1', 'class PeerImpl {}')
    keeps(words.typeNames, 'src/a.ts', 'interface IdCard {}', 'type IPAddress = string', 'interface Impl {}')
  })

  test('noAny', () => {
    breaks(
      words.noAny,
      'src/a.ts',
      'const a: any = 1',
      'const a = b as any',
      'function f(a: any[]) {}',
      'const a: Promise<any> = b',
      'type A = Record<string, any>',
    )
    keeps(words.noAny, 'src/a.ts', "const a = 'any'", '// any', 'const a = AbortSignal.any([])', 'const a = { any: 1 }', 'const many = 1')
  })

  test('noBarrels', () => {
    breaks(words.noBarrels, 'src/a.ts', "export * from './b.ts'", "export { b } from './b.ts'", "export type { B } from './b.ts'")
    keeps(words.noBarrels, 'src/a.ts', 'export const a = 1', 'export { a }')
  })

  test('noModuleState', () => {
    breaks(
      words.noModuleState,
      'src/a.ts',
      'let a = 1',
      'export let a = 1',
      'var a',
      'const a = new Map()',
      'const a = new Map<string, number>()',
      'const a: string[] = []',
      'export const a: Record<string, 1> = {}',
    )
    keeps(words.noModuleState, 'src/a.ts', 'const a = new Set([1])', 'const a = [1]', '  let a = 1', 'const a = {\n  b: 1,\n}')
  })

  test('defaultExports', () => {
    breaks(words.defaultExports, 'src/reach/a.ts', 'export default 1')
    breaks(words.defaultExports, 'src/base/config.ts', 'export default 1')
    for (const path of [
      'src/reach/config.ts',
      'src/reach/commands/a.ts',
      'src/commands/a.ts',
      'src/daemons/a.ts',
      'src/base/mcp/eras/a.ts',
    ])
      keeps(words.defaultExports, path, 'export default 1')
  })

  test('documented', () => {
    breaks(
      words.documented,
      'src/base/wire/a.ts',
      'export function a() {}',
      'export async function a() {}',
      'export interface A {\n  b: 1\n}',
    )
    breaks(words.documented, 'src/gate/api.ts', 'export function a() {}')
    keeps(
      words.documented,
      'src/base/wire/a.ts',
      '/** Does it. */\nexport function a() {}',
      'export interface A {\n  /** It. */\n  b: 1\n}',
      'function a() {}',
      'export type A = 1',
    )
    keeps(words.documented, 'src/gate/a.ts', 'export function a() {}')
  })
})

test('every rule has its test here', () => {
  const here = readFileSync(import.meta.filename, 'utf8')
  for (const rule of Object.keys({ ...imports, ...words })) expect(here).toContain(`test('${rule}', `)
})
