// Proves that words become exactly the input that a command declares, or a usage fault.
import { expect, test } from 'vitest'
import { type Context, command } from './command.ts'
import { parse } from './parse.ts'

const declared = command({
  summary: 'send things',
  description: 'Sends each of them.',
  args: { peer: { summary: 'to whom' }, things: { summary: 'what', variadic: true, optional: true } },
  flags: {
    port: { summary: 'port', value: 'N', type: 'integer', default: 8765 },
    'relay-only': { summary: 'no direct way' },
    'no-wait': { summary: 'do not wait' },
    tag: { summary: 'labels', value: 'TAG', repeat: true },
    weight: { summary: 'weights', value: 'N', type: 'integer', repeat: true },
    name: { summary: 'name', value: 'NAME' },
    key: { summary: 'key', value: 'KEY', mayBeBare: true },
  },
  examples: [['fairlead send ann x', 'sends x']],
  async run(_context: Context) {},
})
const strict = command({ summary: 's', flags: { name: { summary: 'n', value: 'NAME', required: true } }, async run() {} })

function input(words: string): unknown {
  const parsed = parse('fairlead send', declared, words.split(' '))
  return parsed.is === 'input' ? parsed.input : parsed
}

test('arguments, switches, values, repeats and defaults', () => {
  expect(input('ann')).toEqual({
    args: { peer: 'ann', things: [] },
    flags: { port: 8765, 'relay-only': false, 'no-wait': false, tag: [], weight: [], name: undefined, key: undefined },
  })
  expect(input('ann a b --port 1 --relay-only --no-wait --tag x --tag y --weight -3 --weight=4 --name= --json')).toEqual({
    args: { peer: 'ann', things: ['a', 'b'] },
    flags: { port: 1, 'relay-only': true, 'no-wait': true, tag: ['x', 'y'], weight: [-3, 4], name: '' },
  })
  expect(input('ann --key --port 1')).toMatchObject({ flags: { key: '', port: 1 } })
  expect(input('ann --key x')).toMatchObject({ flags: { key: 'x' } })
  expect(input('ann --key=x')).toMatchObject({ flags: { key: 'x' } })
  expect(input('ann -- --port --json')).toMatchObject({ args: { things: ['--port', '--json'] }, flags: { port: 8765 } })
})

test.each([
  ['ann --prot 1', /unknown option '--prot'/, /--port/],
  ['ann --port', /argument missing/, /--help/],
  ['ann --port 1.5', /whole number/, /--help/],
  ['ann --port 99999999999999999999', /whole number/, /--help/],
  ['--relay-only', /missing required argument 'peer'/, /--help/],
  ['ann -x', /unknown option '-x'/, /--help/],
  ['ann --relay-only=secret', /unknown option '--relay-only'$/, /--help/],
  ['ann --prot=secret', /unknown option '--prot'$/, /--help/],
])('%s is a usage fault', (words, message, hint) => {
  expect(() => input(words)).toThrow(
    expect.objectContaining({
      kind: 'usage',
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(hint) as string,
    }),
  )
})

test('one letter for a flag, and a choice of words', () => {
  const chosen = command({
    summary: 's',
    args: { action: { summary: 'what', choices: ['add', 'list'] } },
    flags: { follow: { summary: 'go on', short: 'f' }, lines: { summary: 'so many', short: 'n', value: 'N', type: 'integer' } },
    async run() {},
  })
  const read = (words: string): unknown => parse('x', chosen, words.split(' '))
  expect(read('add -f -n 5')).toMatchObject({ input: { args: { action: 'add' }, flags: { follow: true, lines: 5 } } })
  expect(read('list -fn5')).toMatchObject({ input: { flags: { follow: true, lines: 5 } } })
  expect(read('list')).toMatchObject({ input: { flags: { follow: false, lines: undefined } } })
  expect(() => read('lst')).toThrow(/'lst' is invalid for argument 'action'\. Allowed choices are add, list/)
  expect(read('--help')).toMatchObject({ text: expect.stringContaining('-n, --lines <N>') as string })
})

test('a required flag and too many arguments', () => {
  expect(() => parse('x', strict, [])).toThrow(/--name <NAME>' not specified/)
  expect(() => parse('x', strict, ['--name', 'a', 'b'])).toThrow(/too many arguments/)
})

test('--help wins over everything else and shows flags, arguments and examples', () => {
  const parsed = parse('bmp send', declared, ['--port', '3', '--help'])
  expect(parsed.is).toBe('help')
  const text = parsed.is === 'help' ? parsed.text : ''
  for (const part of [
    'Usage: bmp send [options] <peer> [things...]',
    'send things',
    'Sends each of them.',
    '--port <N>',
    '(default: 8765)',
    '--json',
    'fairlead send ann x',
    'sends x',
  ]) {
    expect(text).toContain(part)
  }
})
