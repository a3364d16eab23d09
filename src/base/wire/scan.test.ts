// The scanner against a strict JSON reader: whatever it accepts, JSON.parse reads the same way; whatever is ambiguous, it refuses.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../kernel/fault.ts'
import { type Frame, asBuffer, idKey, splice, stringAt, token, valueAt } from './frame.ts'
import { scan } from './scan.ts'
import { defaultLimits } from './walk.ts'

const strict = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
const from = (text: string): Frame => scan(Buffer.from(text))
const refused = (bytes: Uint8Array | string): Fault => {
  try {
    scan(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
  throw new Error('the scanner accepted it')
}
const message = (extra: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call",${extra}}`

describe('agrees with a strict reader', () => {
  const id = fc.oneof(fc.integer(), fc.string({ unit: 'binary', maxLength: 20 }))
  const messages = fc.oneof(
    fc.record(
      { jsonrpc: fc.constant('2.0'), id, method: fc.string({ unit: 'binary' }), params: fc.dictionary(fc.string(), fc.jsonValue()) },
      { requiredKeys: ['jsonrpc', 'method'] },
    ),
    fc.record({ jsonrpc: fc.constant('2.0'), id, result: fc.jsonValue() }),
    fc.record({ jsonrpc: fc.constant('2.0'), id, error: fc.jsonValue() }),
  )

  test('every span holds the value that the reader finds there', () => {
    fc.assert(
      fc.property(messages, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        let frame: Frame
        try {
          frame = scan(Buffer.from(JSON.stringify(value, undefined, indent)))
        } catch (error) {
          if (!(error instanceof Fault)) throw error
          fc.pre(!/letter case/.test(error.message))
          throw error
        }
        expect(frame.bytes.includes(0x0a)).toBe(false)
        const read = strict(frame.bytes) as Record<string, never>
        expect(frame.method).toBe(read['method'])
        for (const place of ['id', 'params', 'result', 'error'] as const) {
          expect(frame.at[place] ? valueAt(frame, frame.at[place]) : undefined).toEqual(read[place])
        }
        const params = (read['params'] ?? {}) as Record<string, unknown>
        for (const place of ['name', 'uri', 'arguments', 'requestId'] as const) {
          expect(frame.at[place] ? valueAt(frame, frame.at[place]) : undefined).toEqual(params[place])
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('mutated bytes are refused with a fault or read the same by both', () => {
    const seeds = [
      message('"params":{"name":"echo","arguments":{"text":"a\\u00e9\\n","n":[1,-0.5e+7,true,null]},"_meta":{"progressToken":"t"}}'),
      '{"jsonrpc":"2.0","result":{"content":[{"type":"text","text":"ü"}]},"id":"x"}',
    ].map((text) => Buffer.from(text))
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\0-.eE \n\rtu')))), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.nat(),
        (seed, changes, cut) => {
          let bytes = Buffer.from(seed)
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte
          if (cut % 5 === 0) bytes = bytes.subarray(0, cut % bytes.length)
          const before = Buffer.from(bytes)
          let frame: Frame
          try {
            frame = scan(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(Fault)
            return
          }
          expect(strict(frame.bytes)).toEqual(strict(before))
        },
      ),
      { numRuns: 20_000 },
    )
  })

  test('long strings with anything anywhere: refused, or read the same by both', () => {
    const special = fc.constantFrom(0x00, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d, 0x6e, 0x7f, 0x80, 0xbf, 0xc3, 0xe2, 0xff)
    fc.assert(
      fc.property(
        fc.nat(5),
        fc.integer({ min: 20, max: 300 }),
        fc.array(fc.tuple(fc.nat(), special), { maxLength: 4 }),
        (shift, length, changes) => {
          const bytes = Buffer.from(`${' '.repeat(shift)}{"jsonrpc":"2.0","method":"m","params":{"x":"${'ab€ '.repeat(length)}"}}`)
          for (const [at, byte] of changes) bytes[shift + 42 + (at % (length * 6))] = byte
          const before = Buffer.from(bytes)
          const readable = (() => {
            try {
              return strict(before)
            } catch {
              return undefined
            }
          })()
          try {
            expect(strict(scan(bytes).bytes)).toEqual(readable)
          } catch (error) {
            if (!(error instanceof Fault)) throw error
            expect(readable).toBeUndefined()
          }
        },
      ),
      { numRuns: 5_000 },
    )
  })

  test('random bytes never end in anything but a frame or a fault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(refused(bytes)).toBeInstanceOf(Fault)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('refuses', () => {
  test.each([
    ['two values in one body', '{"jsonrpc":"2.0","id":1,"method":"a"}\n{"jsonrpc":"2.0","id":2,"method":"b"}', 'wire.not_json'],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"a"}]', 'wire.not_a_message'],
    ['a doubled member at the root', '{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', 'wire.not_a_message'],
    ['a doubled member in params', message('"params":{"name":"a","name":"b"}'), 'wire.not_a_message'],
    ['a doubled member in _meta', message('"params":{"_meta":{"x":1,"x":2}}'), 'wire.not_a_message'],
    ['a doubled member in arguments', message('"params":{"arguments":{"path":"a","path":"b"}}'), 'wire.not_a_message'],
    ['a doubled member behind an escape', message('"params":{"name":"a","n\\u0061me":"b"}'), 'wire.not_a_message'],
    ['a known member in other letters', message('"params":{"Name":"a"}'), 'wire.not_a_message'],
    ['a known member in other letters at the root', '{"jsonrpc":"2.0","id":1,"Method":"a"}', 'wire.not_a_message'],
    ['a doubled list in a result', '{"jsonrpc":"2.0","id":1,"result":{"tools":[],"t\\u006fols":[1]}}', 'wire.two_readings'],
    ['a list in other letters in a result', '{"jsonrpc":"2.0","id":1,"result":{"Tools":[]}}', 'wire.two_readings'],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"a"}', 'wire.not_a_message'],
    ['an id with a fraction', '{"jsonrpc":"2.0","id":1.0,"method":"a"}', 'wire.not_a_message'],
    ['params that are a list', message('"params":[1]'), 'wire.not_a_message'],
    ['both a result and an error', '{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', 'wire.not_a_message'],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"a"}', 'wire.not_a_message'],
    ['a byte order mark', '\ufeff{"jsonrpc":"2.0","id":1,"method":"a"}', 'wire.not_json'],
    ['10^5 nested arrays', message(`"params":{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`), 'wire.not_a_message'],
    ['10^6 small members', message(`"params":{"arguments":{"a":[${'1,'.repeat(1e6)}1]}}`), 'wire.not_a_message'],
    ['a trailing comma', message('"params":{"a":1,}'), 'wire.not_json'],
    ['a leading zero', message('"params":{"a":01}'), 'wire.not_json'],
    ['a raw line feed in a string', message('"params":{"a":"\n"}'), 'wire.not_json'],
    ['nothing', '', 'wire.not_json'],
  ])('%s', (_, text, code) => {
    expect(refused(text).code).toBe(code)
  })

  test('bytes that are not UTF-8', () => {
    expect(refused(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xff"}', 'latin1')).code).toBe('wire.not_json')
  })

  test('a frame over the limit', () => {
    expect(() => scan(Buffer.alloc(101, 0x20), { ...defaultLimits, maxFrameBytes: 100 })).toThrow(/larger than 100 bytes/)
  })

  test('and says which request it was, when that was readable', () => {
    expect(refused('{"jsonrpc":"2.0","id":"q7","result":{"tasks":[],"tasks":[]}}').details['answers']).toBe('"q7"')
    expect(refused('{"jsonrpc":"2.0","id":"q7","method":"a","params":{"name":1,"name":2}}').details['id']).toBe('"q7"')
  })
})

describe('frames', () => {
  test('line breaks outside strings become spaces, everything else stays', () => {
    const frame = from('{"jsonrpc":"2.0",\r\n"id":1,"method":"a","params":{"x":"\\n 1.50"}}')
    expect(asBuffer(frame.bytes).toString()).toBe('{"jsonrpc":"2.0",  "id":1,"method":"a","params":{"x":"\\n 1.50"}}')
  })

  test('a splice changes its spans and moves the others', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (id, progressToken) => {
        const frame = from(
          '{"id":7,"jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"progressToken":1,"a":0},"name":"n","arguments":{"x":1e2}}}',
        )
        const changed = splice(frame, [
          { span: frame.at.progressToken!, with: Buffer.from(JSON.stringify(progressToken)) },
          { span: frame.at.id!, with: Buffer.from(JSON.stringify(id)) },
        ])
        expect(valueAt(changed, changed.at.id!)).toEqual(JSON.parse(JSON.stringify(id)))
        expect(valueAt(changed, changed.at.progressToken!)).toEqual(JSON.parse(JSON.stringify(progressToken)))
        expect(token(changed, changed.at.arguments!)).toBe('{"x":1e2}')
        expect(stringAt(changed, changed.at.name)).toBe('n')
        expect(token(changed, changed.at.meta!)).toBe(`{"progressToken":${JSON.stringify(progressToken)},"a":0}`)
      }),
    )
  })

  test('ids are the same exactly when JSON-RPC says so', () => {
    const key = (id: string): string => {
      const frame = from(`{"jsonrpc":"2.0","id":${id},"method":"a"}`)
      return idKey(frame, frame.at.id!)
    }
    expect(key('1')).not.toBe(key('"1"'))
    expect(key('"a"')).toBe(key('"\\u0061"'))
  })
})

describe('what decides who may', () => {
  const inside = (member: string, text: string): string => message(`"params":{"${member}":${text}}`)

  test.each([
    ['ref', '{"type":"ref/prompt","name":"DENIED","name":"ok"}'],
    ['ref', '{"type":"ref/prompt","name":"ok","Name":"DENIED"}'],
    ['ref', '{"type":"ref/resource","type":"ref/prompt","name":"ok","uri":"file:///DENIED"}'],
    ['ref', '{"type":"ref/resource","uri":"file:///ok","URI":"file:///DENIED"}'],
    ['ref', '{"type":"ref/prompt","x":1,"\\u0078":2}'],
    ['notifications', '{"resourceSubscriptions":["file:///ok"],"resourceSubscriptions":["file:///DENIED"]}'],
    ['notifications', '{"resourceSubscriptions":["file:///ok"],"resourcesubscriptions":["file:///DENIED"]}'],
    ['notifications', '{"ToolsListChanged":true}'],
  ])('stands once and is spelt so, inside %s: %s', (member, text) => {
    expect(refused(inside(member, text)).code).toBe('wire.not_a_message')
  })

  test('all else passes there', () => {
    for (const text of ['{"type":"ref/prompt","name":"a","title":"A"}', '[{"name":1,"name":2}]', '"ref"'])
      expect(from(inside('ref', text)).method).toBe('tools/call')
    expect(from(inside('notifications', '{"toolsListChanged":true,"resourceSubscriptions":[]}')).at.inMeta).toBeUndefined()
  })
})
