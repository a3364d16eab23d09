// Proves that pages are read as they are meant, and that what a step shows is compared strictly: a page that says anything else than what happens fails.
import { describe, expect, test } from 'vitest'
import { stepsOf } from './document.ts'
import { streamsOf } from './hex-dump.ts'
import { filled, match, plain } from './pattern.ts'
import { createPlayer } from './play.ts'

const page = (...lines: string[]): string => lines.join('\n')

describe('a page', () => {
  test('its annotations, blocks, hidden blocks and what they show', () => {
    const text = page(
      '# Title',
      '## Part',
      '<!-- note: nothing to do -->',
      '### Steps',
      '- one',
      '  <!-- on a, b, exit 3: proves x, y z -->',
      '  ```bash',
      '  one',
      '    two',
      '  ```',
      '  some words',
      '  ```text',
      '  shown',
      '  ```',
      '<!-- on a: proves hidden',
      'three',
      '-->',
      '<!-- on a, window w -->',
      '```bash',
      'four',
      '```',
      '<!-- hear w -->',
      '```text',
      'five',
      '```',
      '<!-- stop w -->',
      '## Other',
      '<!-- on b, file ~/a b/c.json -->',
      '```json',
      '{}',
      '```',
      '<!-- act as a person does: proves acted -->',
    )
    expect(stepsOf(text).map(({ line, section, doing, shows, proves }) => [line, section, doing, shows, proves])).toEqual([
      [6, 'Part: Steps', { does: 'run', hosts: ['a', 'b'], script: 'one\n  two', exitCode: 3 }, 'shown', ['x', 'y', 'z']],
      [15, 'Part: Steps', { does: 'run', hosts: ['a'], script: 'three', exitCode: 0 }, undefined, ['hidden']],
      [18, 'Part: Steps', { does: 'open', hosts: ['a'], window: 'w', script: 'four' }, undefined, []],
      [22, 'Part: Steps', { does: 'hear', window: 'w' }, 'five', []],
      [26, 'Part: Steps', { does: 'stop', window: 'w' }, undefined, []],
      [28, 'Other', { does: 'write', hosts: ['b'], path: '~/a b/c.json', text: '{}' }, undefined, []],
      [32, 'Other', { does: 'act', act: 'as a person does' }, undefined, ['acted']],
    ])
  })

  test.each([
    ['a block that nothing runs', ['```bash', 'x', '```'], 'line 1: no annotation'],
    ['an annotation without its block', ['<!-- on a -->', '', '<!-- on b -->', '```', 'x', '```'], 'line 1: the annotation lacks'],
    ['the same at the end', ['<!-- on a -->'], 'line 1: the annotation lacks'],
    ['an annotation that nobody understands', ['<!-- at a -->'], 'line 1: nobody knows how to "at a"'],
    ['text that no step shows', ['```text', 'x', '```'], 'line 1: this text follows no step'],
    ['two texts for one step', ['<!-- on a', 'x', '-->', '```text', '```', '```text', '```'], 'line 6: this text follows no step'],
    ['a block without an end', ['<!-- on a -->', '```', 'x'], 'line 2: the block has no end'],
  ])('%s is refused', (_, lines, problem) => {
    expect(() => stepsOf(page(...lines))).toThrow(problem)
  })
})

describe('what a step shows', () => {
  const whole = { isWhole: true }
  const none = new Map<string, string>()

  test('must be all of it, save where … stands', () => {
    expect(match('one\ntwo', 'one\ntwo\n', none, whole)).toBeDefined()
    for (const other of ['one\n', 'one\ntwo\nthree\n', 'zero\none\ntwo\n', 'one\ntwo and more\n', 'two\none\n'])
      expect(match('one\ntwo', other, none, whole)).toBeUndefined()
    expect(match('one …\n…\nlast', 'one and\nmore\nand more\nlast\n', none, whole)).toBeDefined()
    expect(match('…\nlast', 'last\n', none, whole)).toBeDefined()
    expect(match('a  b', 'a    b\n', none, whole)).toBeDefined()
    expect(match('a.c', 'abc\n', none, whole)).toBeUndefined()
  })

  test('<NAME> is kept, means the same from then on, and is filled in', () => {
    const found = match('id <ID>\n/p2p/<ID>', 'id 12D3\n/p2p/12D3\n', none, whole)!
    expect([...found.values]).toEqual([['ID', '12D3']])
    expect(match('id <ID>\n/p2p/<ID>', 'id 12D3\n/p2p/12D4\n', none, whole)).toBeUndefined()
    expect(match('<ID>', '12D4\n', found.values, whole)).toBeUndefined()
    expect(filled('send <ID> "x" > <ID>.txt', found.values)).toBe('send 12D3 "x" > 12D3.txt')
    expect(() => filled('<OTHER>', found.values)).toThrow('<OTHER>')
  })

  test('in a window it may stand anywhere after what was heard before, and colours and erased lines are nothing', () => {
    const shown = plain('\u001B[1mready\u001B[0m\r\nlooking…\r\u001B[K\u001B[1G\u001B[0Kfirst\r\nfirst\r\n')
    expect(shown).toBe('ready\nfirst\nfirst\n')
    const once = match('first', shown, none)!
    const twice = match('first', shown, none, { from: once.end })!
    expect(match('first', shown, none, { from: twice.end })).toBeUndefined()
  })
})

test('a requirement is proved only by a step that went well', async () => {
  const host = { run: async (script: string) => ({ exitCode: script === 'bad' ? 1 : 0, output: 'shown\n' }) }
  const stage = { hosts: new Map([['a', host]]), close: async () => {} } as never
  const { play, proved } = createPlayer(stage, {}, {})
  const steps = stepsOf(
    page(
      '<!-- on a: proves good',
      'x',
      '-->',
      '```text',
      'shown',
      '```',
      '<!-- on a: proves code',
      'bad',
      '-->',
      '<!-- on a: proves text',
      'x',
      '-->',
      '```text',
      'other',
      '```',
      '<!-- act no: proves act -->',
      '<!-- on b: proves host',
      'x',
      '-->',
    ),
  )
  const results = await Promise.allSettled(steps.map(play))
  expect(results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message.split('\n')[0] : ''))).toEqual([
    '',
    'line 7: exit code 1 instead of 0:',
    'line 10: it shows',
    'line 16: nobody knows how to act "no"',
    'line 17: there is no host b',
  ])
  expect([...proved]).toEqual(['good'])
})

test('a word is found in a capture, across lines and packets', () => {
  const head = '\t0x0000:  4500 0031 0000 4000 4006 0000 0a58 0702  E..1..@.@....X..\n'
  const dump = [
    '21:00:00.000000 eth0 In  IP 10.88.7.2.1 > 10.88.7.3.8766: Flags [P.], length 9\n',
    `${head}\t0x0010:  0a58 0703 0001 223e 0000 0000 0000 0000  .X....">........\n`,
    '\t0x0020:  5018 0000 0000 0000 2d2d 2d2d 2d53 6563  P.......-----Sec\n\t0x0030:  72                                       r\n',
    '21:00:00.000001 eth0 In  IP 10.88.7.2.1 > 10.88.7.3.8766: Flags [P.], length 2\n',
    `${head.replace('0031', '002a')}\t0x0010:  0a58 0703 0001 223e 0000 0000 0000 0000  .X....">........\n`,
    '\t0x0020:  5018 0000 0000 0000 6574 0000                 P.......et..\n',
  ].join('')
  expect([...streamsOf(dump)]).toEqual([['10.88.7.2:1 > 10.88.7.3:8766', Buffer.from('-----Secret')]])
})
