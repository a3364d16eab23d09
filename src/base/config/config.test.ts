// Proves that a configuration is understood wholly or refused with file, line and key, and that no text makes the reader fail otherwise.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Fault } from '../../kernel/fault.ts'
import { loadConfig } from './config.ts'
import { credential } from './credential.ts'
import { describeConfig } from './describe.ts'
import { duration } from './duration.ts'
import { machineSchema } from './machine.ts'

const schema = z.strictObject({
  gate: z
    .strictObject({
      listen: z.string().default('127.0.0.1:8001').describe('address and port'),
      maxSessions: z.int().min(1).max(1000).default(100).describe('sessions at once'),
      heartbeat: duration({ leastMs: 1000 }).prefault('30s').describe('time between probes'),
      mode: z.enum(['open', 'strict']).default('strict').describe('who may call'),
      token: credential.optional(),
      upstreams: z
        .record(z.string(), z.strictObject({ url: z.string().describe('where it answers') }))
        .default({})
        .describe('servers by name'),
      ports: z
        .array(z.strictObject({ host: z.int().max(65_535).describe('port') }))
        .default([])
        .describe('published ports'),
    })
    .prefault({}),
})

async function problem(path: string, text: string): Promise<string> {
  const error: unknown = await loadConfig({ schema, path, text }).then(
    () => undefined,
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(Fault)
  expect((error as Fault).kind).toBe('config')
  return (error as Fault).message
}

describe('what is right', () => {
  test('defaults fill what is left out, TOML and YAML say the same', async () => {
    const toml = await loadConfig({ schema, path: 'a.toml', text: '[gate]\nlisten = "x:1"\nheartbeat = "1m30s"\n' })
    const yaml = await loadConfig({ schema, path: 'a.yml', text: 'gate:\n  listen: "x:1"\n  heartbeat: 1m30s\n' })
    expect(toml.value).toEqual(yaml.value)
    expect(toml.value.gate).toEqual({ listen: 'x:1', maxSessions: 100, heartbeat: 90_000, mode: 'strict', upstreams: {}, ports: [] })
    expect(await toml.originOf(['gate', 'listen'])).toBe('a.toml:2')
    expect(await yaml.originOf(['gate', 'heartbeat'])).toBe('a.yml:3')
    expect(await toml.originOf(['gate', 'mode'])).toBe('default')
  })

  test('a file that is not there is a fault, or all defaults where that is allowed', async () => {
    await expect(loadConfig({ schema, path: '/no/such/file.toml' })).rejects.toMatchObject({ code: 'config.absent' })
    expect((await loadConfig({ schema, path: '/no/such/file.toml', isOptional: true })).value.gate.maxSessions).toBe(100)
    expect((await loadConfig({ schema, path: 'empty.yaml', text: '' })).value.gate.maxSessions).toBe(100)
  })
})

describe('what is wrong', () => {
  test('an unknown key is named with file, line and the key that was meant', async () => {
    expect(await problem('fairlead.toml', '# ours\n[gate]\n\nlisten = "x"\nmaxSesions = 3\n')).toBe(
      "fairlead.toml:5 gate.maxSesions: unknown key; did you mean 'maxSessions'?",
    )
    expect(await problem('fairlead.yaml', 'gate:\n  upstreams:\n    one:\n      ulr: x\n      url: y\n')).toBe(
      "fairlead.yaml:4 gate.upstreams.one.ulr: unknown key; did you mean 'url'?",
    )
  })

  test('every problem is reported at once', async () => {
    const message = await problem(
      'f.toml',
      '[gate]\nlisten = 3\nmode = "strct"\nmaxSessions = 0\nheartbeat = "1 s"\n[[gate.ports]]\nhost = 1\n[[gate.ports]]\nhost = 99999\n[gate.upstreams."a b"]\n',
    )
    expect(message.split('\n')).toEqual([
      '6 problems in f.toml',
      '  f.toml:2 gate.listen: must be text, not a number',
      '  f.toml:4 gate.maxSessions: must be at least 1',
      '  f.toml:5 gate.heartbeat: must be a duration such as 250ms, 30s, 5m or 1h30m',
      "  f.toml:3 gate.mode: must be one of open, strict; did you mean 'strict'?",
      '  f.toml:10 gate.upstreams."a b".url: is required: text',
      '  f.toml:9 gate.ports[1].host: must be at most 65535',
    ])
  })

  test('a syntax error has its line', async () => {
    expect(await problem('f.toml', 'a = 1\nb = = 2\n')).toMatch(/^f\.toml:2: .+\(column \d+\)$/)
    expect(await problem('f.yml', 'gate:\n  a: 1\n  a: 2\n')).toMatch(/^f\.yml:3: /)
    expect(await problem('f.yml', 'gate: !custom x\n')).toMatch(/^f\.yml:1: /)
  })

  test('a credential written out is refused and never repeated', async () => {
    const message = await problem('f.toml', '[gate]\ntoken = "hunter2-very-secret"\n')
    expect(message).toMatch(/^f\.toml:2 gate\.token: a credential may not stand in this file/)
    expect(message).not.toContain('hunter2')
    expect(await problem('f.toml', '[gate]\ntoken = { file = "x", env = "Y" }\n')).toMatch(/gate\.token: must be \{ file/)
  })

  test('a file that is neither TOML nor YAML, or no file at all', async () => {
    await expect(loadConfig({ schema, path: 'f.json', text: '{}' })).rejects.toMatchObject({ code: 'config.unknown_format' })
    await expect(loadConfig({ schema, path: `${import.meta.dirname}/../config.toml`, text: undefined as never })).rejects.toMatchObject({
      code: 'config.absent',
    })
  })

  test('alias bombs and deep nesting end in a fault', async () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[at]!}`).join(',')}]`)
      .join('\n')}\n`
    expect(await problem('f.yaml', bomb)).toMatch(/^f\.yaml: /)
    expect(await problem('f.yaml', '['.repeat(20_000))).toMatch(/f\.yaml/)
    expect(await problem('f.toml', `a = ${'['.repeat(50_000)}${']'.repeat(50_000)}`)).toMatch(/f\.toml/)
  })
})

describe('hostile text', () => {
  const token = fc.constantFrom(
    'gate',
    '.',
    '=',
    '\n',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    ':',
    '- ',
    '  ',
    '&a ',
    '*a',
    '!x',
    '|',
    '>',
    '#',
    '__proto__',
    'constructor',
    'toString',
    '1',
    '1979-05-27',
    '<<',
    '? ',
    '\u0000',
    '\t',
    '\r',
    'listen',
    'ports',
    ',',
    'inf',
    'token',
    'file',
  )
  const text = fc.oneof(
    fc.array(token, { maxLength: 40 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }),
  )

  test.each(['f.toml', 'f.yaml'])('any text as %s is read, or refused with a Fault', async (path) => {
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        const error: unknown = await loadConfig({ schema, path, text: content }).then(
          () => undefined,
          (caught: unknown) => caught,
        )
        expect(error === undefined || error instanceof Fault, String(error)).toBe(true)
        expect(({} as Record<string, unknown>)['listen']).toBeUndefined()
      }),
      { numRuns: 2_000 },
    )
  })

  test('any tree of values is read, or refused with a Fault', async () => {
    const key = fc.constantFrom('gate', 'listen', 'mode', 'token', 'file', 'ports', 'upstreams', '__proto__', 'constructor', 'url', '0')
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.dictionary(key, tie('tree'), { noNullPrototype: false }),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
    }))
    await fc.assert(
      fc.asyncProperty(tree, async (value) => {
        const error: unknown = await loadConfig({ schema, path: 'f.yaml', text: JSON.stringify(value) }).then(
          () => undefined,
          (caught: unknown) => caught,
        )
        expect(error === undefined || error instanceof Fault, String(error)).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })
})

test('describeConfig lists every key with type, description and default', () => {
  const keys = describeConfig(schema)
  expect(keys.map(({ path }) => path)).toEqual([
    'gate.listen',
    'gate.maxSessions',
    'gate.heartbeat',
    'gate.mode',
    'gate.token',
    'gate.upstreams',
    'gate.upstreams.<name>.url',
    'gate.ports',
    'gate.ports[].host',
  ])
  expect(keys[1]).toEqual({
    path: 'gate.maxSessions',
    type: 'integer 1…1000',
    description: 'sessions at once',
    default: 100,
    isRequired: false,
  })
  expect(keys[2]).toMatchObject({ default: '30s' })
  expect(keys[6]).toMatchObject({ isRequired: true })
})

test('the machine file has one table for each capability', async () => {
  const sections = { gate: schema.shape.gate, run: z.strictObject({ node: z.string() }) }
  const machine = await machineSchema(
    Object.entries(sections).map(([name, section]) => ({ name, load: async () => ({ default: section }) })),
  )
  expect(await loadConfig({ schema: machine, path: 'f.toml', text: '' })).toMatchObject({ value: { gate: { maxSessions: 100 } } })
  await expect(loadConfig({ schema: machine, path: 'f.toml', text: '[gat]\n' })).rejects.toMatchObject({
    message: "f.toml:1 gat: unknown key; did you mean 'gate'?",
  })
})

describe('YAML that other programs read, too', () => {
  const read = (text: string, isYaml11Too: boolean) =>
    loadConfig({ schema: z.strictObject({ a: z.unknown(), b: z.unknown().optional() }), path: 'x.yml', text, isYaml11Too })
  test.each(['a: yes', 'a: [on, x]', 'a: 2:00', 'a: 1_000', 'a: 017', 'a: 2024-01-01', 'a: {b: off}'])(
    '%s means something else to them',
    async (text) => {
      await expect(read(text, true)).rejects.toThrow(/x\.yml:1 a.*YAML 1\.1/)
      await expect(read(text, false)).resolves.toBeDefined()
    },
  )
  test('what is the same to all is taken', async () => {
    const text = 'a: {b: true, c: "yes", d: [1, 2.5, null, text, "2:00"]}\nb: 104857600  # 100 MB\n'
    expect((await read(text, true)).value).toEqual({ a: { b: true, c: 'yes', d: [1, 2.5, null, 'text', '2:00'] }, b: 104_857_600 })
  })
})
