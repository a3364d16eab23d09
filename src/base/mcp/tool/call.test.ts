// Who may call, what is refused and how it is said: independent of any transport.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../../kernel/clock.ts'
import { createLog } from '../../../kernel/log.ts'
import { faults } from '../../../kernel/fault.ts'
import { type ToolboxOptions, createToolbox } from './call.ts'
import { isReal, reaches, roles, sandboxModes, tool } from './tool.ts'

const fault = faults('test', { broken: () => ({ kind: 'missing', message: 'the thing is not there', hint: 'bring it' }) })
type Needs = { readonly base: number }

const add = tool({
  name: 'add_numbers',
  title: 'Add',
  description: 'Adds to the base.',
  input: z.strictObject({
    amount: z.int().min(1).max(100),
    mode: z.enum(['ok', 'fault', 'crash', 'bad', 'large', 'hang', 'pretend', 'who']).default('ok'),
  }),
  output: z.object({ sum: z.number(), filler: z.string().optional() }),
  annotations: { readOnlyHint: true },
  role: 'operator',
  effect: 'change',
  limits: { timeoutMs: 50, maxOutputBytes: 1_000 },
  async handle({ base }: Needs, { amount, mode }, { signal, progress, caller, simulated }) {
    progress(1, 2)
    if (mode === 'fault') throw fault.broken({})
    if (mode === 'pretend') simulated('no such device')
    if (mode === 'who') return { sum: 1, filler: JSON.stringify(caller) }
    if (mode === 'crash') throw new TypeError('oops')
    if (mode === 'bad') return { sum: 'many' as unknown as number }
    if (mode === 'large') return { sum: 1, filler: 'x'.repeat(2_000) }
    if (mode === 'hang')
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop')), { once: true }))
    return { sum: base + amount, secret: 'left out' }
  },
  simulate: ({ base }) => ({ sum: base }),
})
const ann = { name: 'ann', via: 'token' } as const
const call = { signal: new AbortController().signal, progress() {} }

function boxOf(changes: Partial<ToolboxOptions<Needs>> = {}): { box: ReturnType<typeof createToolbox>; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const log = createLog((line) => lines.push(JSON.parse(line) as Record<string, unknown>), Date.now, 'debug')
  const box = createToolbox<Needs>({
    tools: [{ load: async () => ({ default: add }) }],
    needs: { base: 40 },
    mayCall: () => true,
    clock: systemClock,
    log,
    ...changes,
  })
  return { box, lines }
}

describe('roles and sandbox', () => {
  test('a role reaches itself and those below, an unknown one nothing', () => {
    expect(roles.map((have) => roles.map((need) => reaches(have, need)))).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ])
    for (const need of roles) for (const have of [undefined, '', 'root', 'Admin']) expect(reaches(have, need)).toBe(false)
  })
  test('changes are real only without a sandbox, devices are read in part of it, looking is always real', () => {
    expect(sandboxModes.map((mode) => (['observe', 'sense', 'change'] as const).map((effect) => isReal(mode, effect)))).toEqual([
      [true, true, true],
      [true, true, false],
      [true, false, false],
    ])
  })
})

describe('listing', () => {
  test('shows what may be called, with both schemas and nothing superfluous', async () => {
    const { box } = boxOf()
    const [listed] = await box.list(ann)
    expect(listed).toMatchObject({
      name: 'add_numbers',
      annotations: { title: 'Add', readOnlyHint: true },
      inputSchema: { type: 'object', additionalProperties: false, required: ['amount'] },
    })
    expect(listed!.outputSchema).toEqual({
      type: 'object',
      properties: { sum: { type: 'number' }, filler: { type: 'string' } },
      required: ['sum'],
      additionalProperties: false,
    })
    expect(await boxOf({ mayCall: () => false }).box.list(ann)).toEqual([])
  })
  test('a tool that cannot be loaded is told, and tried again', async () => {
    let tries = 0
    const { box } = boxOf({
      tools: [
        {
          async load() {
            if (++tries === 1) throw new Error('no such file')
            return { default: add }
          },
        },
      ],
    })
    await expect(box.list(ann)).rejects.toThrow(/no such file/)
    expect(box.problem?.message).toContain('no such file')
    expect(await box.list(ann)).toHaveLength(1)
    expect(box.problem).toBeUndefined()
  })
  test('two tools of one name are refused', async () => {
    const source = { load: async () => ({ default: add }) }
    await expect(boxOf({ tools: [source, source] }).box.list(ann)).rejects.toMatchObject({ code: 'tool.malformed' })
  })
})

describe('calling', () => {
  test('answers with structure and the same as text; what the schema does not name stays inside', async () => {
    const { box, lines } = boxOf()
    const answer = await box.call(ann, 'add_numbers', { amount: 2 }, call)
    expect(answer).toEqual({ content: [{ type: 'text', text: '{"sum":42}' }], structuredContent: { sum: 42 } })
    expect(lines).toMatchObject([{ event: 'tool_call', tool: 'add_numbers', principal: 'ann', outcome: 'done' }])
  })
  test.each([
    [{ amount: 2, mdoe: 'ok' }, "mdoe: unknown key; did you mean 'mode'?"],
    [{ amount: 0 }, 'amount: must be at least 1'],
    [{}, 'amount: is required'],
    [{ amount: '2' }, 'amount: must be'],
    ['text', 'must be a table'],
  ])('%j is refused by key', async (input, words) => {
    const answer = await boxOf().box.call(ann, 'add_numbers', input, call)
    expect(answer.isError).toBe(true)
    expect(answer.content[0]!.text).toContain(words)
    expect(answer._meta).toMatchObject({ 'fairlead/fault': { code: 'tool.bad_input', kind: 'usage' } })
  })
  test('a fault becomes an error with its hint, a crash one without its stack', async () => {
    const { box } = boxOf()
    expect((await box.call(ann, 'add_numbers', { amount: 1, mode: 'fault' }, call)).content[0]!.text).toBe(
      'the thing is not there\nhint: bring it',
    )
    const crashed = JSON.stringify(await box.call(ann, 'add_numbers', { amount: 1, mode: 'crash' }, call))
    expect(crashed).toContain('unexpected: oops')
    expect(crashed).not.toContain('.ts:')
  })
  test('an answer against its schema or above its size is an error', async () => {
    const { box } = boxOf()
    expect((await box.call(ann, 'add_numbers', { amount: 1, mode: 'bad' }, call)).content[0]!.text).toContain('sum: must be a number')
    expect((await box.call(ann, 'add_numbers', { amount: 1, mode: 'large' }, call))._meta).toMatchObject({
      'fairlead/fault': { code: 'tool.too_large' },
    })
  })
  test('a call ends when its time is up, or when its caller leaves', async () => {
    const { box } = boxOf()
    expect((await box.call(ann, 'add_numbers', { amount: 1, mode: 'hang' }, call))._meta).toMatchObject({
      'fairlead/fault': { code: 'tool.timed_out' },
    })
    const caller = new AbortController()
    const left = box.call(ann, 'add_numbers', { amount: 1, mode: 'hang' }, { ...call, signal: caller.signal })
    caller.abort()
    expect((await left)._meta).toMatchObject({ 'fairlead/fault': { code: 'tool.cancelled' } })
    expect(box.running).toBe(0)
  })
  test('who may not is told the role that is needed, and logged', async () => {
    const { box, lines } = boxOf({ mayCall: () => false })
    const answer = await box.call(ann, 'add_numbers', { amount: 1 }, call)
    expect(answer.content[0]!.text).toMatch(/^ann may not call add_numbers\nhint: it needs the role operator/)
    expect(lines).toMatchObject([{ level: 'warn', event: 'permission_denied', principal: 'ann', tool: 'add_numbers' }])
  })
  test('a name that is none is thrown, for the protocol to answer', async () => {
    await expect(boxOf().box.call(ann, 'subtract', {}, call)).rejects.toMatchObject({ code: 'tool.unknown' })
  })
  test('too many at once are refused, and their places given back', async () => {
    const { box } = boxOf({ maxCalls: 1 })
    const [, second] = await Promise.all([
      box.call(ann, 'add_numbers', { amount: 1, mode: 'hang' }, call),
      box.call(ann, 'add_numbers', { amount: 1 }, call),
    ])
    expect(second._meta).toMatchObject({ 'fairlead/fault': { code: 'tool.busy' } })
    expect((await box.call(ann, 'add_numbers', { amount: 1 }, call)).isError).toBeUndefined()
  })
})

describe('the caller', () => {
  test('is told to the tool: who, from where, which request, and the grant that was shown', async () => {
    const said = { requestId: '"a"', source: '192.0.2.1', grant: 'signed' }
    const told = await boxOf().box.call(ann, 'add_numbers', { amount: 1, mode: 'who' }, { ...call, ...said })
    expect(JSON.parse(told.structuredContent!['filler'] as string)).toEqual({ principal: ann, ...said })
    const bare = await boxOf().box.call(ann, 'add_numbers', { amount: 1, mode: 'who' }, call)
    expect(JSON.parse(bare.structuredContent!['filler'] as string)).toEqual({ principal: ann, requestId: 'unknown', source: 'unknown' })
  })
})

describe('sandbox', () => {
  test('what a tool itself says is simulated is marked', async () => {
    expect((await boxOf().box.call(ann, 'add_numbers', { amount: 2, mode: 'pretend' }, call))._meta).toEqual({
      'fairlead/simulated': 'no such device',
    })
  })
  test('a change is simulated and marked, or refused where nothing can stand in for it', async () => {
    const { box, lines } = boxOf({ sandboxMode: () => 'partial' })
    expect(await box.call(ann, 'add_numbers', { amount: 2 }, call)).toMatchObject({
      content: [{ text: '{"sum":40}' }, { text: 'simulated (partial): this did not really happen' }],
      structuredContent: { sum: 40 },
      _meta: { 'fairlead/simulated': 'partial' },
    })
    expect(lines).toMatchObject([{ outcome: 'simulated' }])
    const bare = { ...add }
    delete (bare as { simulate?: unknown }).simulate
    const refused = await boxOf({ sandboxMode: () => 'full', tools: [{ load: async () => ({ default: bare }) }] }).box.call(
      ann,
      'add_numbers',
      { amount: 2 },
      call,
    )
    expect(refused._meta).toMatchObject({ 'fairlead/fault': { code: 'tool.sandboxed', kind: 'denied' } })
  })
})
