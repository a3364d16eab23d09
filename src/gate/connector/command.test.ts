// Proves that a command names one tool, and that its arguments leave as they came.
import { expect, test } from 'vitest'
import { commandIn } from './command.ts'

test('arguments keep their bytes, whatever stands around them', () => {
  const given = String.raw`{ "n":12345678901234567890, "f":1.00e0 ,"é\u0041":[ {"command":"no"} ] }`
  for (const body of [`{"command":"far__echo","arguments":${given}}`, ` \n{ "arguments" : ${given} , "command":"far__echo" }\n`]) {
    const { upstream, tool, argumentsJson } = commandIn(Buffer.from(body))
    expect([upstream, tool, Buffer.from(argumentsJson).toString('utf8')]).toEqual(['far', 'echo', given])
  }
  expect(Buffer.from(commandIn(Buffer.from('{"command":"far__a__b"}')).argumentsJson).toString()).toBe('{}')
  expect(commandIn(Buffer.from('{"command":"my-far__a__b"}'))).toMatchObject({ upstream: 'my-far', tool: 'a__b' })
})

test.each([
  '',
  '[]',
  'null',
  '{',
  '{"command":1}',
  '{"command":"__echo"}',
  '{"command":"far__"}',
  '{"command":"FAR__echo"}',
  '{"command":"far__echo","arguments":null}',
  String.raw`{"command":"far__echo","arguments":{},"argum\u0065nts":{}}`,
  '{"command":"far__echo"}\u0000',
])('%j is no command', (body) => {
  expect(() => commandIn(Buffer.from(body))).toThrow(/cannot be taken/)
})

test('text that is not UTF-8 is none', () => {
  expect(() => commandIn(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toThrow(/no JSON in UTF-8/)
})
